//! Statistics of training steps that are still on the device.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use burn::tensor::{Tensor, backend::Backend, read_sync};

use super::step_statistics::{StepStatistics, read};

/// A read that is queued.
type Read = Pin<Box<dyn Future<Output = StepStatistics> + Send>>;

/// The statistics of the last step, which the next step waits for.
///
/// The training thread reads them for the reason given at [`HostRecord`](super::HostRecord). The copy to
/// the host is queued behind the step, and awaited after the next step is queued, so that the device
/// always has work.
#[derive(Clone, Default)]
pub struct PendingStatistics(Arc<Mutex<Option<Read>>>);

impl PendingStatistics {
    /// Queues the read of a step's packed statistics and returns those of the step before. After the
    /// `last` step of an epoch, also returns its own.
    pub fn push<B: Backend>(&self, packed: Tensor<B, 1>, last: bool) -> Vec<StepStatistics> {
        let mut pending = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = pending.replace(start_read(read(packed)));
        let own = if last { pending.take() } else { None };
        [before, own].into_iter().flatten().map(read_sync).collect()
    }
}

/// Polls a read once, which queues the copy.
fn start_read(read: impl Future<Output = StepStatistics> + Send + 'static) -> Read {
    let mut read: Read = Box::pin(read);
    match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(statistics) => Box::pin(std::future::ready(statistics)),
        Poll::Pending => read,
    }
}

impl fmt::Debug for PendingStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingStatistics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::step_statistics::pack;

    fn packed(anchors: f32) -> Tensor<burn_flex::Flex, 1> {
        Tensor::from_floats([2.0, anchors, 1.0, 4.0, 1.0, 1.0, 0.5], &Default::default())
    }

    #[test]
    fn every_step_is_read_once_and_in_order() {
        let pending = PendingStatistics::default();
        let anchors = |read: Vec<StepStatistics>| -> Vec<usize> {
            read.iter().map(|step| step.loss.anchors).collect()
        };
        assert!(pending.push(packed(1.0), false).is_empty());
        assert_eq!(anchors(pending.push(packed(2.0), false)), [1]);
        assert_eq!(anchors(pending.push(packed(3.0), true)), [2, 3]);
        // An epoch of one step.
        assert_eq!(anchors(pending.push(packed(4.0), true)), [4]);
    }

    #[test]
    fn embeddings_that_are_not_finite_are_reported() {
        let device = Default::default();
        let statistics = Tensor::<burn_flex::Flex, 1>::ones([6], &device);
        for (value, finite) in [(1.0, true), (f32::NAN, false), (f32::INFINITY, false)] {
            let embeddings = Tensor::from_floats([[1.0, value]], &device);
            let step = read_sync(read(pack(statistics.clone(), embeddings)));
            assert_eq!(step.finite_embeddings, finite, "{value}");
        }
    }
}
