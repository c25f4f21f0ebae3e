//! The statistics of a training step.

use std::sync::Arc;

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

impl StepStatistics {
    /// Whether the loss, the distances and every embedding are finite.
    pub fn are_finite(&self) -> bool {
        let loss = &self.loss;
        let values = [loss.sum, loss.mean, loss.mean_positive, loss.mean_negative];
        self.finite_embeddings && values.iter().all(|value| value.is_finite())
    }
}

/// A training step whose statistics were read.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedStep {
    /// The statistics.
    pub statistics: StepStatistics,
    /// The batch, if the loss or an embedding is not finite.
    pub batch: Option<Arc<DivergedBatch>>,
}

/// The batch of a step whose loss or embeddings are not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct DivergedBatch {
    /// The images, as indices into the training split.
    pub images: Vec<usize>,
    /// Their embeddings, row by row.
    pub embeddings: Vec<f32>,
}

/// The outputs of a step that are read later.
pub(super) struct StepOutputs<B: Backend> {
    /// Those of [`pack`].
    pub(super) packed: Tensor<B, 1>,
    /// \[N, D\]
    pub(super) embeddings: Tensor<B, 2>,
    /// The images, as indices into the training split.
    pub(super) images: Vec<usize>,
}

/// Packs the loss's statistics and the sum of all embeddings into one tensor, so that there is a single
/// read. The sum is not finite if an embedding is not.
pub(super) fn pack<B: Backend>(statistics: Tensor<B, 1>, embeddings: Tensor<B, 2>) -> Tensor<B, 1> {
    Tensor::cat(vec![statistics, embeddings.sum()], 0)
}

/// Reads packed statistics, and the batch if they are not finite.
pub(super) async fn read<B: Backend>(outputs: StepOutputs<B>) -> FinishedStep {
    let packed = outputs.packed.into_data_async().await;
    let packed = packed.expect("the step succeeded").convert::<f64>();
    let values = packed.as_slice::<f64>().expect("just converted");
    let [statistics @ .., sum] = values else {
        panic!("statistics are packed with the sum of the embeddings");
    };
    let statistics = TensorData::new(statistics.to_vec(), [statistics.len()]);
    let statistics = StepStatistics {
        loss: LossStatistics::from_data(statistics).expect("statistics are floats"),
        finite_embeddings: sum.is_finite(),
    };
    let mut batch = None;
    if !statistics.are_finite() {
        let embeddings = outputs.embeddings.into_data_async().await;
        batch = Some(Arc::new(DivergedBatch {
            images: outputs.images,
            embeddings: embeddings.expect("the step succeeded").iter().collect(),
        }));
    }
    FinishedStep { statistics, batch }
}
