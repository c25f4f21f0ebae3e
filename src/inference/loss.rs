//! A loss and its gradient for a batch of embeddings from a file.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};

use super::InferenceError;
use super::embedding_file::Embeddings;
use crate::loss::{LossKind, LossStatistics};
use crate::model::unit_length;
use crate::negatives::{NegativesConfig, Space};

/// A loss to compute, as in training.
#[derive(Debug, Clone)]
pub struct BatchLoss {
    /// The loss.
    pub loss: LossKind,
    /// Where its negatives are looked for.
    pub negatives: NegativesConfig,
    /// Where embeddings lie; on the sphere rows are scaled to unit length first.
    pub space: Space,
    /// Whether the gradient is wanted.
    pub with_gradient: bool,
}

/// The loss of `embeddings` as one batch, and if wanted the gradient of its mean over anchors with
/// respect to the rows as given, row by row.
///
/// # Errors
///
/// When the rows are no batch (classes adjacent, an even number of rows each), a row of zeros has to
/// be scaled, or the loss is not finite.
pub fn batch_loss<B: AutodiffBackend>(
    embeddings: &Embeddings,
    wanted: &BatchLoss,
    device: &B::Device,
) -> Result<(LossStatistics, Option<Vec<f32>>), InferenceError> {
    embeddings.check_batch()?;
    let count = embeddings.labels.len();
    let rows = TensorData::new(embeddings.rows.clone(), [count, embeddings.dim]);
    let leaf = Tensor::<B, 2>::from_data(rows, device).require_grad();
    let labels = Tensor::<B, 1, Int>::from_data(class_numbers(&embeddings.labels), device);
    let scaled = match wanted.space {
        // Scaled by constants first: networks' outputs need no care for rows whose squares would
        // overflow or vanish.
        Space::Sphere => {
            let scales = TensorData::new(embeddings.reciprocal_lengths()?, [count, 1]);
            unit_length(leaf.clone() * Tensor::<B, 2>::from_data(scales, device))
        }
        Space::Euclidean => leaf.clone(),
    };
    let loss = wanted.loss.init();
    let negatives = wanted.negatives.init();
    let output = loss.forward(negatives.compare(scaled, labels, wanted.space, loss.measure()));
    let statistics =
        LossStatistics::from_data(output.statistics().into_data()).expect("statistics are floats");
    if !statistics.sum.is_finite() {
        return Err(InferenceError::LossNotFinite {
            embeddings: embeddings.path().into(),
        });
    }
    let gradient = wanted.with_gradient.then(|| {
        let gradient = leaf.grad(&output.mean().backward());
        let gradient = gradient.expect("the loss depends on the embeddings");
        let gradient = gradient.into_data().convert::<f32>().into_vec();
        gradient.expect("just converted")
    });
    Ok((statistics, gradient))
}

/// The classes numbered from 0: labels of any size fit the device's integers.
fn class_numbers(labels: &[i64]) -> TensorData {
    let mut classes = -1;
    let numbers: Vec<i32> = labels
        .chunk_by(|a, b| a == b)
        .flat_map(|class| {
            classes += 1;
            std::iter::repeat_n(classes, class.len())
        })
        .collect();
    TensorData::new(numbers, [labels.len()])
}
