//! N-pair loss.

use burn::config::Config;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::{LossOutput, hardest::Hardest};
use crate::geometry::Measure;
use crate::negatives::{
    Comparisons,
    masked::{count, log_sum_exp, mean, softplus},
};

/// Configuration of an [N-pair loss](NPairLoss).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NPairLossConfig {
    /// λ of the penalty λ|x|² on the squared length of an embedding, at least 0 (section 3.2.3 of the
    /// paper). Embeddings of unit length do not feel it. Default 0.
    pub l2_penalty: f64,
}

impl Config for NPairLossConfig {}

impl NPairLossConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets λ of the [penalty](Self::l2_penalty).
    pub fn with_l2_penalty(mut self, l2_penalty: f64) -> Self {
        self.l2_penalty = l2_penalty;
        self
    }

    /// Initialises the [loss](NPairLoss).
    pub fn init(&self) -> NPairLoss {
        NPairLoss {
            l2_penalty: self.l2_penalty,
        }
    }
}

/// Multi-class N-pair loss (Sohn, NIPS 2016, equation 6), on embeddings that are not scaled:
///
/// ```text
/// L = log(1 + Σ exp(s⁻ − s⁺)) + λ|x|²
/// ```
///
/// for each positive inner product s⁺ of the anchor, averaged over them (with two images of a class
/// there is one); the sum is over all its negative inner products s⁻, and |x|² is the squared length
/// of the anchor's embedding, or their mean where anchors are pairs. An anchor without a positive or
/// without a negative is not counted and contributes 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NPairLoss {
    /// λ, at least 0.
    pub l2_penalty: f64,
}

impl NPairLoss {
    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative inner products
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not inner products.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Measure::InnerProduct);
        let hardest = Hardest::detached_of(&comparisons);
        let like = comparisons.positives.clone().detach();
        let mined = count(comparisons.positive_mask.clone(), &like)
            + count(comparisons.negative_mask.clone(), &like);
        let push = log_sum_exp(comparisons.negatives, comparisons.negative_mask);
        let losses = mean(
            softplus(push - comparisons.positives),
            comparisons.positive_mask,
        );
        let losses = if self.l2_penalty > 0.0 {
            losses + comparisons.squared_lengths.mul_scalar(self.l2_penalty)
        } else {
            losses
        };
        LossOutput::new(losses, mined, hardest)
    }
}
