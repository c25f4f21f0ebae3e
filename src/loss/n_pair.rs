//! N-pair loss.

use burn::config::Config;
use burn::tensor::{Tensor, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::hinge::softplus;
use super::masked::{count, log_sum_exp, mean};
use super::output::LossOutput;
use crate::geometry::Measure;
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, not_negative};

/// Configuration of an [N-pair loss](NPairLoss).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct NPairLossConfig {
    /// λ of the penalty λ|x|² on the squared length of an embedding, at least 0 (section 3.2.3 of the
    /// paper). It has no effect on embeddings of unit length. Default 0.
    #[schemars(range(min = 0))]
    pub l2_penalty: f64,
}

impl Config for NPairLossConfig {}

impl NPairLossConfig {
    /// The name in the configuration.
    pub const NAME: &str = "n-pair";

    /// The default space of the embeddings: the loss is published without scaling to unit length.
    pub const SPACE: Space = Space::Euclidean;

    /// Creates the default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Checked {
        not_negative("loss.l2_penalty", self.l2_penalty)
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
/// there is one). The sum is over all its negative inner products s⁻. |x|² is the squared length of
/// the anchor's embedding, or the mean of both if anchors are pairs. An anchor without a positive or
/// without a negative is not counted: its loss is 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NPairLoss {
    /// λ, at least 0.
    pub l2_penalty: f64,
}

impl NPairLoss {
    /// The measure of the comparisons.
    pub const MEASURE: Measure = Measure::InnerProduct;

    /// Computes the loss of every anchor, with its reductions and statistics.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative inner products
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not inner products.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Self::MEASURE);
        let hardest = Hardest::new_detached(&comparisons);
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

    /// Computes the loss of every anchor, 0 for an anchor that is not counted.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative inner products
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not inner products.
    pub fn forward_no_reduction<B: Backend>(&self, comparisons: Comparisons<B>) -> Tensor<B, 1> {
        self.forward(comparisons).losses
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_values::*;
    use super::*;

    #[test]
    fn loss_is_that_of_a_softmax_over_the_positive_and_the_negatives() {
        let (positive, negatives) = (1.0_f64, [0.5_f64, -0.25]);
        let rows = vec![negatives.map(|s| s as f32).to_vec()];
        let loss = NPairLossConfig::new().with_l2_penalty(0.5).init();
        let measure = Measure::InnerProduct;
        let found = value_and_gradients(measure, &vec![vec![1.0]], &rows, |comparisons| {
            loss.forward(comparisons)
        });
        let terms = negatives.map(|s| (s - positive).exp());
        let total = 1.0 + terms.iter().sum::<f64>();
        assert_close(&found.losses, &[total.ln() + 0.5]);
        assert_close(&found.of_positives, &[1.0 / total - 1.0]);
        assert_close(&found.of_negatives, &terms.map(|term| term / total));
    }
}
