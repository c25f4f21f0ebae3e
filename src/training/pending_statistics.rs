//! Statistics of training steps that are still on the device.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::backend::Backend;

use super::step_statistics::{FinishedStep, StepOutputs, read};
use crate::queued_read::QueuedRead;

/// The statistics of the last step, which the next step waits for.
///
/// The training thread reads them for the reason given at [`HostRecord`](super::HostRecord). The copy to
/// the host is queued behind the step, and awaited after the next step is queued, so that the device
/// always has work. It is the only read of a training step, unless the loss sorts on the host.
#[derive(Clone, Default)]
pub struct PendingStatistics(Arc<Mutex<Option<QueuedRead<FinishedStep>>>>);

impl PendingStatistics {
    /// Queues the read of a step's outputs and returns the statistics of the step before. After the `last`
    /// step of an epoch, also returns its own.
    pub(super) fn push<B: Backend>(
        &self,
        outputs: StepOutputs<B>,
        last: bool,
    ) -> Vec<FinishedStep> {
        let mut pending = self.pending();
        let before = pending.replace(QueuedRead::start(read(outputs)));
        let own = if last { pending.take() } else { None };
        let steps = [before, own].into_iter().flatten();
        steps.map(QueuedRead::wait).collect()
    }

    /// Waits for the statistics of the last step, if they were not returned yet.
    pub(super) fn flush(&self) -> Option<FinishedStep> {
        let last = self.pending().take();
        last.map(QueuedRead::wait)
    }

    fn pending(&self) -> MutexGuard<'_, Option<QueuedRead<FinishedStep>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PendingStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingStatistics")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::training::step_statistics::pack;

    type B = burn_flex::Flex;

    fn outputs(anchors: f32, embedding: f32) -> StepOutputs<B> {
        let device = Default::default();
        let embeddings = Tensor::from_floats([[1.0, embedding]], &device);
        let statistics = Tensor::from_floats([2.0, anchors, 1.0, 4.0, 1.0, 1.0], &device);
        StepOutputs {
            packed: pack(statistics, embeddings.clone()),
            embeddings,
            images: vec![7],
        }
    }

    fn anchors(read: impl IntoIterator<Item = FinishedStep>) -> Vec<usize> {
        let steps = read.into_iter();
        steps.map(|step| step.statistics.loss.anchors).collect()
    }

    #[test]
    fn every_step_is_read_once_and_in_order() {
        let pending = PendingStatistics::default();
        assert!(pending.push(outputs(1.0, 0.5), false).is_empty());
        assert_eq!(anchors(pending.push(outputs(2.0, 0.5), false)), [1]);
        assert_eq!(anchors(pending.push(outputs(3.0, 0.5), true)), [2, 3]);
        // An epoch of one step.
        assert_eq!(anchors(pending.push(outputs(4.0, 0.5), true)), [4]);
        assert!(pending.flush().is_none());
        pending.push(outputs(5.0, 0.5), false);
        assert_eq!(anchors(pending.flush()), [5]);
        assert!(pending.flush().is_none());
    }

    #[test]
    fn batch_is_kept_if_embeddings_are_not_finite() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let read = PendingStatistics::default().push(outputs(1.0, value), true);
            assert!(!read[0].statistics.finite_embeddings);
            let batch = read[0].batch.as_ref().unwrap();
            assert_eq!(batch.images, [7]);
            assert_eq!(batch.embeddings[0], 1.0);
            assert!(!batch.embeddings[1].is_finite());
        }
        let read = PendingStatistics::default().push(outputs(1.0, 0.5), true);
        assert_eq!(read[0].batch, None);
    }
}
