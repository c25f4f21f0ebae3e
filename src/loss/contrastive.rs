//! Contrastive loss.

use burn::config::Config;
use burn::tensor::{Tensor, activation::relu, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::masked::{count, mean};
use super::output::LossOutput;
use crate::geometry::Measure;
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, not_negative};

/// Configuration of a [contrastive loss](ContrastiveLoss).
///
/// The defaults are the formula of Hadsell et al. with the margins of pytorch-metric-learning, which
/// uses the hinges without the square.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct ContrastiveLossConfig {
    /// m⁺, the distance up to which positives have no loss, at least 0. Default 0.
    #[schemars(range(min = 0))]
    pub positive_margin: f64,
    /// m⁻, the distance from which negatives have no loss, at least 0. Distances between embeddings
    /// of unit length are at most 2. Default 1.
    #[schemars(range(min = 0))]
    pub negative_margin: f64,
    /// Whether the loss is ½ max(0, x)² instead of max(0, x), with x the distance beyond the margin.
    /// Default true.
    pub squared_hinge: bool,
}

impl Config for ContrastiveLossConfig {}

impl Default for ContrastiveLossConfig {
    fn default() -> Self {
        Self {
            positive_margin: 0.0,
            negative_margin: 1.0,
            squared_hinge: true,
        }
    }
}

impl ContrastiveLossConfig {
    /// The name in the configuration.
    pub const NAME: &str = "contrastive";

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
        not_negative("loss.positive_margin", self.positive_margin)?;
        not_negative("loss.negative_margin", self.negative_margin)
    }

    /// Initialises the [loss](ContrastiveLoss).
    pub fn init(&self) -> ContrastiveLoss {
        ContrastiveLoss {
            positive_margin: self.positive_margin,
            negative_margin: self.negative_margin,
            squared_hinge: self.squared_hinge,
        }
    }
}

/// Contrastive loss (Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant
/// Mapping, CVPR 2006, equation 4):
///
/// ```text
/// L = mean ½ max(0, d⁺ − m⁺)² + mean ½ max(0, m⁻ − d⁻)²
/// ```
///
/// with the means over the anchor's positive distances d⁺ and over its negative distances d⁻.
/// Without the squared hinge the terms are max(0, d⁺ − m⁺) and max(0, m⁻ − d⁻).
///
/// Hadsell et al. set m⁺ to 0 and sum over all pairs. A batch has many more negative pairs than
/// positive ones, so each kind is averaged on its own, as pytorch-metric-learning does with its
/// `MeanReducer`. If anchors are pairs (LoOp), there is one positive and the mean over the negatives
/// is over the pairs of other classes. An anchor without a positive or without a negative is not
/// counted: its loss is 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContrastiveLoss {
    /// m⁺, at least 0.
    pub positive_margin: f64,
    /// m⁻, at least 0.
    pub negative_margin: f64,
    /// Whether the hinges are squared and halved.
    pub squared_hinge: bool,
}

impl ContrastiveLoss {
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
        let too_far = relu(comparisons.positives.sub_scalar(self.positive_margin));
        let too_near = relu(comparisons.negatives.neg().add_scalar(self.negative_margin));
        let active = |excess: &Tensor<B, 2>| excess.clone().detach().greater_elem(0.0);
        let positives = active(&too_far).bool_and(comparisons.positive_mask.clone());
        let negatives = active(&too_near).bool_and(comparisons.negative_mask.clone());
        let mined = count(positives, &hardest.positive) + count(negatives, &hardest.negative);
        let losses = mean(self.penalty(too_far), comparisons.positive_mask)
            + mean(self.penalty(too_near), comparisons.negative_mask);
        LossOutput::new(losses, mined, hardest)
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

    fn penalty<B: Backend>(&self, excess: Tensor<B, 2>) -> Tensor<B, 2> {
        if self.squared_hinge {
            excess.square().mul_scalar(0.5)
        } else {
            excess
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_values::*;
    use super::*;

    /// Two positives and three negatives of one anchor.
    fn computed(config: ContrastiveLossConfig) -> ValueAndGradients {
        let (positives, negatives) = (vec![vec![0.5, 0.25]], vec![vec![0.5, 0.25, 1.5]]);
        let loss = config.init();
        value_and_gradients(Measure::Distance, &positives, &negatives, |comparisons| {
            loss.forward(comparisons)
        })
    }

    #[test]
    fn squared_hinges_are_averaged_over_positives_and_over_negatives() {
        let found = computed(ContrastiveLossConfig::new());
        let positives = (0.5 * 0.25 + 0.5 * 0.0625) / 2.0;
        let negatives = (0.5 * 0.25 + 0.5 * 0.5625) / 3.0;
        assert_close(&found.losses, &[positives + negatives]);
        assert_close(&found.of_positives, &[0.25, 0.125]);
        assert_close(&found.of_negatives, &[-0.5 / 3.0, -0.25, 0.0]);
    }

    #[test]
    fn hinges_without_the_square_have_constant_slopes() {
        let config = ContrastiveLossConfig::new().with_squared_hinge(false);
        let found = computed(config.with_positive_margin(0.375));
        assert_close(&found.losses, &[0.125 / 2.0 + (0.5 + 0.75) / 3.0]);
        assert_close(&found.of_positives, &[0.5, 0.0]);
        assert_close(&found.of_negatives, &[-1.0 / 3.0, -1.0 / 3.0, 0.0]);
    }

    #[test]
    fn pairs_within_their_margins_have_loss_zero_and_gradient_zero() {
        let config = ContrastiveLossConfig::new().with_positive_margin(0.5);
        let found = computed(config.with_negative_margin(0.25));
        assert_eq!(found.losses, [0.0]);
        assert_eq!(found.of_positives, [0.0; 2]);
        assert_eq!(found.of_negatives, [0.0; 3]);
    }

    #[test]
    fn margins_below_zero_are_refused() {
        for (config, key) in [
            (
                ContrastiveLossConfig::new().with_positive_margin(-0.1),
                "loss.positive_margin",
            ),
            (
                ContrastiveLossConfig::new().with_negative_margin(-0.1),
                "loss.negative_margin",
            ),
        ] {
            assert_eq!(config.check().unwrap_err().key(), key);
        }
    }
}
