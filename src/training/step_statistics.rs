//! The statistics of a training step.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::loss::LossStatistics;

/// The statistics of a training step, on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStatistics {
    /// The loss's statistics.
    pub loss: LossStatistics,
    /// Whether every embedding was finite. The loss does not show it: comparisons with NaN may have
    /// ordinary distances.
    pub finite_embeddings: bool,
}

/// Packs the loss's statistics and the sum of all embeddings into one tensor, so that there is a single
/// read. The sum is not finite if an embedding is not.
pub(super) fn pack<B: Backend>(statistics: Tensor<B, 1>, embeddings: Tensor<B, 2>) -> Tensor<B, 1> {
    Tensor::cat(vec![statistics, embeddings.sum()], 0)
}

/// Reads packed statistics.
pub(super) async fn read<B: Backend>(packed: Tensor<B, 1>) -> StepStatistics {
    let packed = packed.into_data_async().await.expect("the step succeeded");
    let packed = packed.convert::<f64>();
    let values = packed.as_slice::<f64>().expect("just converted");
    let [statistics @ .., sum] = values else {
        panic!("statistics are packed with the sum of the embeddings");
    };
    let statistics = TensorData::new(statistics.to_vec(), [statistics.len()]);
    StepStatistics {
        loss: LossStatistics::from_data(statistics).expect("statistics are floats"),
        finite_embeddings: sum.is_finite(),
    }
}
