//! Lifted structure loss.

use burn::config::Config;
use burn::tensor::{Tensor, activation::relu, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::masked::{count, log_sum_exp, mean};
use super::output::LossOutput;
use crate::geometry::Measure;
use crate::geometry::transpose;
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, finite};

/// Configuration of a [lifted structure loss](LiftedStructureLoss).
///
/// The defaults are those of LoOp's public code. The original loss (arXiv 1511.06452) is
/// `squared_hinge` and `both_sides` with a margin of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct LiftedStructureLossConfig {
    /// The margin m, which is added to the positive distance; any finite number. Default 0.2.
    pub margin: f64,
    /// Whether the loss is ½ max(0, J)² instead of max(0, J). Default false.
    pub squared_hinge: bool,
    /// Whether the sum is over the positive's negatives too, beside the anchor's. It has no effect
    /// if anchors are pairs (LoOp), whose negatives are those of both members. Default false.
    pub both_sides: bool,
}

impl Config for LiftedStructureLossConfig {}

impl Default for LiftedStructureLossConfig {
    fn default() -> Self {
        Self {
            margin: 0.2,
            squared_hinge: false,
            both_sides: false,
        }
    }
}

impl LiftedStructureLossConfig {
    /// The name in the configuration.
    pub const NAME: &str = "lifted-structure";

    /// The default space of the embeddings.
    pub const SPACE: Space = Space::Sphere;

    /// Creates the default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Checked {
        finite("loss.margin", self.margin)
    }

    /// Initialises the [loss](LiftedStructureLoss).
    pub fn init(&self) -> LiftedStructureLoss {
        LiftedStructureLoss {
            margin: self.margin,
            squared_hinge: self.squared_hinge,
            both_sides: self.both_sides,
        }
    }
}

/// Lifted structured feature embedding (arXiv 1511.06452, equation 4, in the form of LoOp's code):
///
/// ```text
/// J = log Σ exp(−d⁻) + d⁺ + m,      L = max(0, J)      or, with the squared hinge, ½ max(0, J)²
/// ```
///
/// for each positive distance d⁺ of the anchor, averaged over them. The sum is over all its negative
/// distances d⁻, and with both sides also over those of the positive. An anchor without a positive or
/// without a negative is not counted: its loss is 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiftedStructureLoss {
    /// m.
    pub margin: f64,
    /// Whether the hinge is squared and halved.
    pub squared_hinge: bool,
    /// Whether the positive's negatives are summed too.
    pub both_sides: bool,
}

impl LiftedStructureLoss {
    /// The measure of the comparisons.
    pub const MEASURE: Measure = Measure::Distance;

    /// Computes the loss of every anchor, with its reductions and statistics.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Self::MEASURE);
        let hardest = Hardest::new_detached(&comparisons);
        let [anchors, columns] = comparisons.positives.dims();
        let negatives = comparisons.negatives;
        let like = negatives.clone().detach();
        let pull = log_sum_exp(negatives.neg(), comparisons.negative_mask.clone());
        let pull = if self.both_sides && columns == anchors {
            log_add_exp(pull.clone(), transpose(pull))
        } else {
            pull
        };
        let excess = relu((comparisons.positives + pull).add_scalar(self.margin));
        let active = excess
            .clone()
            .detach()
            .greater_elem(0.0)
            .bool_and(comparisons.positive_mask.clone());
        let losses = if self.squared_hinge {
            excess.square().mul_scalar(0.5)
        } else {
            excess
        };
        // Every negative of an anchor with an active positive has a gradient. The positive's own
        // negatives are counted with the positive's anchor.
        let any = active.clone().any_dim(1);
        let mined = count(active, &like)
            + count(comparisons.negative_mask, &like).mask_fill(any.bool_not(), 0.0);
        LossOutput::new(mean(losses, comparisons.positive_mask), mined, hardest)
    }

    /// Computes the loss of every anchor, 0 for an anchor that is not counted.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances.
    pub fn forward_no_reduction<B: Backend>(&self, comparisons: Comparisons<B>) -> Tensor<B, 1> {
        self.forward(comparisons).losses
    }
}

/// log(exp a + exp b), without overflow; \[A, 1\] and \[1, A\] become \[A, A\].
fn log_add_exp<B: Backend>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    let shift = a.clone().detach().max_pair(b.clone().detach());
    ((a - shift.clone()).exp() + (b - shift.clone()).exp()).log() + shift
}

#[cfg(test)]
mod tests {
    use super::super::test_values::*;
    use super::*;

    const NEGATIVES: [f64; 2] = [0.75, 1.25];

    fn computed(config: LiftedStructureLossConfig) -> ValueAndGradients {
        let rows = vec![NEGATIVES.map(|d| d as f32).to_vec()];
        let loss = config.init();
        value_and_gradients(Measure::Distance, &vec![vec![0.5]], &rows, |comparisons| {
            loss.forward(comparisons)
        })
    }

    /// The value of J at margin 0.25, and the weights of the negatives in its gradient.
    fn expected() -> (f64, [f64; 2]) {
        let terms = NEGATIVES.map(|d| (-d).exp());
        let sum: f64 = terms.iter().sum();
        (sum.ln() + 0.5 + 0.25, terms.map(|term| term / sum))
    }

    #[test]
    fn hinge_pulls_the_positive_and_pushes_the_negatives_by_their_weights() {
        let (excess, weights) = expected();
        let found = computed(LiftedStructureLossConfig::new().with_margin(0.25));
        assert_close(&found.losses, &[excess]);
        assert_close(&found.of_positives, &[1.0]);
        assert_close(&found.of_negatives, &weights.map(|weight| -weight));
    }

    #[test]
    fn squared_hinge_scales_the_gradient_by_the_excess() {
        let (excess, weights) = expected();
        let config = LiftedStructureLossConfig::new().with_margin(0.25);
        let found = computed(config.with_squared_hinge(true));
        assert_close(&found.losses, &[excess * excess / 2.0]);
        assert_close(&found.of_positives, &[excess]);
        assert_close(&found.of_negatives, &weights.map(|weight| -excess * weight));
    }
}
