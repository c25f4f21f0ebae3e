//! The hardest positive and the hardest negative of each anchor.

use burn::tensor::{Bool, Tensor, backend::Backend};

use super::masked::{largest, smallest};
use crate::geometry::Measure;
use crate::negatives::Comparisons;

/// The hardest comparisons of A anchors, each \[A, 1\].
#[derive(Debug, Clone)]
pub(super) struct Hardest<B: Backend> {
    /// The largest distance to, or smallest inner product with, a positive; 0 if the anchor has no
    /// positive.
    pub(super) positive: Tensor<B, 2>,
    /// The smallest distance to, or largest inner product with, a negative; 0 if the anchor has no
    /// negative.
    pub(super) negative: Tensor<B, 2>,
    /// Whether the anchor has a positive and a negative.
    pub(super) counted: Tensor<B, 2, Bool>,
}

impl<B: Backend> Hardest<B> {
    /// The hardest comparisons, with their gradients.
    pub(super) fn new(comparisons: &Comparisons<B>) -> Self {
        let (positives, negatives) = (comparisons.positives.clone(), comparisons.negatives.clone());
        let positive_mask = comparisons.positive_mask.clone();
        let negative_mask = comparisons.negative_mask.clone();
        let ((positive, has_positive), (negative, has_negative)) = match comparisons.measure {
            Measure::Distance => (
                largest(positives, positive_mask),
                smallest(negatives, negative_mask),
            ),
            Measure::InnerProduct => (
                smallest(positives, positive_mask),
                largest(negatives, negative_mask),
            ),
        };
        Self {
            positive,
            negative,
            counted: has_positive.bool_and(has_negative),
        }
    }

    /// The hardest comparisons without gradient, for statistics and mining.
    pub(super) fn new_detached(comparisons: &Comparisons<B>) -> Self {
        Self::new(&Comparisons {
            positives: comparisons.positives.clone().detach(),
            negatives: comparisons.negatives.clone().detach(),
            ..comparisons.clone()
        })
    }
}
