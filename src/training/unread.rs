//! Statistics of training steps that are still on the device.

use std::fmt;
use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::trainee::StepStatistics;
use crate::loss::LossStatistics;

type Read = Box<dyn FnOnce() -> StepStatistics + Send>;

/// The statistics of the last step, which its successor reads.
///
/// The training thread reads them, for the reason that [`HostRecord`](super::HostRecord) gives. It
/// does so after it has queued the next step, so that the device always has work.
#[derive(Clone, Default)]
pub struct UnreadStatistics(Arc<Mutex<Option<Read>>>);

impl UnreadStatistics {
    /// Leaves the statistics of a step, `packed` as [`pack`], and reads those of the step before.
    /// Those of the last step of an epoch are read too.
    pub fn push<B: Backend>(&self, packed: Tensor<B, 1>, last: bool) -> Vec<StepStatistics> {
        let mut unread = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = unread.replace(Box::new(move || unpack(packed)));
        let own = if last { unread.take() } else { None };
        [before, own]
            .into_iter()
            .flatten()
            .map(|read| read())
            .collect()
    }
}

impl fmt::Debug for UnreadStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadStatistics")
    }
}

/// The loss's statistics and the sum of all embeddings, which is not finite if one is not, as one
/// tensor for a single read.
pub(super) fn pack<B: Backend>(statistics: Tensor<B, 1>, embeddings: Tensor<B, 2>) -> Tensor<B, 1> {
    Tensor::cat(vec![statistics, embeddings.sum()], 0)
}

fn unpack<B: Backend>(packed: Tensor<B, 1>) -> StepStatistics {
    let [length] = packed.dims();
    let packed = packed.into_data().convert::<f64>();
    let values = packed.as_slice::<f64>().expect("just converted");
    let (statistics, sum) = values.split_at(length - 1);
    let statistics = TensorData::new(statistics.to_vec(), [length - 1]);
    StepStatistics {
        loss: LossStatistics::from_data(statistics).expect("statistics are floats"),
        finite_embeddings: sum[0].is_finite(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(anchors: f32) -> Tensor<burn_flex::Flex, 1> {
        Tensor::from_floats([2.0, anchors, 1.0, 4.0, 1.0, 1.0, 0.5], &Default::default())
    }

    #[test]
    fn every_step_is_read_once_and_in_order() {
        let unread = UnreadStatistics::default();
        let anchors = |read: Vec<StepStatistics>| -> Vec<usize> {
            read.iter().map(|step| step.loss.anchors).collect()
        };
        assert!(unread.push(packed(1.0), false).is_empty());
        assert_eq!(anchors(unread.push(packed(2.0), false)), [1]);
        assert_eq!(anchors(unread.push(packed(3.0), true)), [2, 3]);
        // An epoch of one step.
        assert_eq!(anchors(unread.push(packed(4.0), true)), [4]);
    }

    #[test]
    fn embeddings_that_are_not_finite_are_reported() {
        let device = Default::default();
        let statistics = Tensor::<burn_flex::Flex, 1>::ones([6], &device);
        for (value, finite) in [(1.0, true), (f32::NAN, false), (f32::INFINITY, false)] {
            let embeddings = Tensor::from_floats([[1.0, value]], &device);
            let step = unpack(pack(statistics.clone(), embeddings));
            assert_eq!(step.finite_embeddings, finite, "{value}");
        }
    }
}
