//! Hard positive, hard negative triplet loss.

use burn::config::Config;
use burn::tensor::{Tensor, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::hinge::hinge;
use super::masked::count;
use super::output::LossOutput;
use crate::geometry::Measure;
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, not_negative};

/// Configuration of a [hard positive, hard negative triplet loss](HphnTripletLoss).
///
/// It is also a section of the configuration file: missing keys take their defaults, and unknown
/// keys are errors. Burn's `derive(Config)` supports neither, so serde reads it.
///
/// ```
/// use burn::backend::Autodiff;
/// use burn::tensor::{Int, Tensor};
/// use loop_dml::loss::HphnTripletLossConfig;
/// use loop_dml::negatives::{LoopNegatives, Negatives, Space};
/// use loop_dml::geometry::Measure;
///
/// type B = Autodiff<burn_flex::Flex>;
/// let device = Default::default();
/// // Two arcs of 0.64 rad on the unit circle, 0.28 rad apart.
/// let rows = [[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]];
/// let embeddings = Tensor::<B, 2>::from_data(rows, &device).require_grad();
/// let labels = Tensor::<B, 1, Int>::from_data([0, 0, 1, 1], &device);
///
/// let loss = HphnTripletLossConfig::new().with_margin(0.2).init();
/// let negatives = Negatives::Loop(LoopNegatives::PUBLISHED);
/// let comparisons =
///     negatives.compare(embeddings.clone(), labels, Space::Sphere, Measure::Distance);
/// let mean = loss.forward(comparisons).mean();
/// assert!((mean.clone().into_scalar() - (0.6325 - 0.2828 + 0.2)).abs() < 1e-3);
/// // A step against the gradient moves rows of one class together and the classes apart.
/// let gradient = embeddings.grad(&mean.backward());
/// assert_eq!(gradient.unwrap().dims(), [4, 2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct HphnTripletLossConfig {
    /// The margin m in max(0, d⁺ − d⁻ + m), at least 0 (1e-5 in the published command). Default 0.2.
    #[schemars(range(min = 0))]
    pub margin: f64,
    /// Whether the loss is log(1 + exp(d⁺ − d⁻)) instead of the hinge; the margin is then not used.
    /// Default false.
    pub soft_margin: bool,
}

impl Config for HphnTripletLossConfig {}

impl Default for HphnTripletLossConfig {
    fn default() -> Self {
        Self {
            margin: 0.2,
            soft_margin: false,
        }
    }
}

impl HphnTripletLossConfig {
    /// The name in the configuration.
    pub const NAME: &str = "hphn-triplet";

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
        not_negative("loss.margin", self.margin)
    }

    /// Initialises the [loss](HphnTripletLoss).
    pub fn init(&self) -> HphnTripletLoss {
        HphnTripletLoss {
            margin: self.margin,
            soft_margin: self.soft_margin,
        }
    }
}

/// The triplet loss of each anchor's hardest positive and hardest negative in the batch
/// ("batch hard", arXiv 1703.07737; HPHN-triplet in arXiv 2003.02546):
///
/// ```text
/// L = max(0, d⁺ − d⁻ + m)      or, with the soft margin,      L = log(1 + exp(d⁺ − d⁻))
/// ```
///
/// with d⁺ the largest of the anchor's positive distances and d⁻ the smallest of its negative ones.
/// An anchor without a positive or without a negative is not counted: its loss is 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HphnTripletLoss {
    /// m, at least 0.
    pub margin: f64,
    /// Whether the soft margin replaces the hinge.
    pub soft_margin: bool,
}

impl HphnTripletLoss {
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
        let hardest = Hardest::new(&comparisons);
        let excess = hardest.positive.clone() - hardest.negative.clone();
        let losses = hinge(excess, self.margin, self.soft_margin);
        // One positive and one negative.
        let active = losses.clone().detach().greater_elem(0.0);
        let mined = count(active, &hardest.positive).mul_scalar(2.0);
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
}

#[cfg(test)]
mod tests {
    use super::super::test_values::*;
    use super::*;

    #[test]
    fn configuration_fills_missing_keys_and_refuses_unknown_ones() {
        let config: HphnTripletLossConfig = toml::from_str("margin = 0.5").unwrap();
        assert_eq!(config, HphnTripletLossConfig::new().with_margin(0.5));
        assert!(toml::from_str::<HphnTripletLossConfig>("margins = 0.5").is_err());
        assert_eq!(config.with_soft_margin(true).init().margin, 0.5);
    }

    #[test]
    fn largest_positive_and_smallest_negative_have_the_loss_and_its_gradient() {
        let positives = vec![vec![0.5, 0.75], vec![0.25, 0.5]];
        let negatives = vec![vec![0.5, 1.5], vec![1.75, 0.75]];
        let loss = HphnTripletLossConfig::new().with_margin(0.125).init();
        let found = value_and_gradients(Measure::Distance, &positives, &negatives, |comparisons| {
            loss.forward(comparisons)
        });
        assert_close(&found.losses, &[0.375, 0.0]);
        assert_close(&found.of_positives, &[0.0, 1.0, 0.0, 0.0]);
        assert_close(&found.of_negatives, &[-1.0, 0.0, 0.0, 0.0]);
    }
}
