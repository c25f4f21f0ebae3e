//! A loss and its gradient for a batch of embeddings from a file.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};

use super::InferenceError;
use crate::embedding_file::Embeddings;
use crate::loss::{LossKind, LossStatistics, check_all_pairs};
use crate::model::unit_length;
use crate::negatives::{NegativesConfig, Space};

/// A loss to compute as in training.
#[derive(Debug, Clone)]
pub struct BatchLoss {
    /// The loss.
    pub loss: LossKind,
    /// The negatives strategy.
    pub negatives: NegativesConfig,
    /// The space of the embeddings. On the sphere, rows are scaled to unit length first.
    pub space: Space,
    /// Whether to compute the gradient.
    pub with_gradient: bool,
}

/// Computes the loss of `embeddings` as one batch. With `with_gradient` it also returns the gradient of
/// the mean over anchors with respect to the unscaled rows, row by row.
///
/// # Errors
/// If there are more than [`MAXIMUM_BATCH`](crate::loss::MAXIMUM_BATCH) rows, if the rows of a class are
/// not adjacent, if their number is odd and the negatives pair images, if there are too many pairs, if the space is the
/// sphere and a row is zero, or if the loss is not finite.
pub fn batch_loss<B: AutodiffBackend>(
    embeddings: &Embeddings,
    request: &BatchLoss,
    device: &B::Device,
) -> Result<(LossStatistics, Option<Vec<f32>>), InferenceError> {
    embeddings.check_batch(request.negatives.pairs_consecutive_rows())?;
    let classes = embeddings.labels.chunk_by(|a, b| a == b);
    check_all_pairs(&request.negatives, classes.map(<[i64]>::len))?;
    let count = embeddings.labels.len();
    let rows = TensorData::new(embeddings.rows.clone(), [count, embeddings.dim]);
    let leaf = Tensor::<B, 2>::from_data(rows, device).require_grad();
    let labels = Tensor::<B, 1, Int>::from_data(class_numbers(&embeddings.labels), device);
    let scaled = match request.space {
        // Scaled by constants first, because the squares of the rows of a file may overflow or
        // underflow. Those of a network's output do not.
        Space::Sphere => {
            let scales = TensorData::new(embeddings.reciprocal_lengths()?, [count, 1]);
            unit_length(leaf.clone() * Tensor::<B, 2>::from_data(scales, device))
        }
        Space::Euclidean => leaf.clone(),
    };
    let loss = request.loss.init();
    let negatives = request.negatives.init(None);
    let output = loss.forward(negatives.compare(scaled, labels, request.space, loss.measure()));
    let statistics =
        LossStatistics::from_data(output.statistics().into_data()).expect("statistics are floats");
    if !statistics.sum.is_finite() {
        return Err(InferenceError::LossNotFinite {
            embeddings: embeddings.path().into(),
        });
    }
    let gradient = request.with_gradient.then(|| {
        let gradient = leaf.grad(&output.mean().backward());
        let gradient = gradient.expect("the loss depends on the embeddings");
        let gradient = gradient.into_data().convert::<f32>().into_vec();
        gradient.expect("converted to f32")
    });
    Ok((statistics, gradient))
}

/// Numbers the classes from 0, because labels may not fit the device's integers.
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
