//! Multi-similarity loss.

use burn::config::Config;
use burn::tensor::{Tensor, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::hinge::softplus;
use super::masked::{count, log_sum_exp};
use super::output::LossOutput;
use crate::geometry::Measure;
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, finite, positive};

/// Configuration of a [multi-similarity loss](MultiSimilarityLoss).
///
/// In a configuration file, `defaults` selects the values of the other keys that are absent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(from = "Keys")]
#[schemars(!from, default)]
#[setters(prefix = "with_")]
pub struct MultiSimilarityLossConfig {
    /// The published values that absent keys take. Default `loop`.
    #[setters(skip)]
    pub defaults: MultiSimilarityDefaults,
    /// α, the sharpness of the weights of positives, above 0. Default 2.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub alpha: f64,
    /// β, the sharpness of the weights of negatives, above 0. Default 50.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub beta: f64,
    /// λ, the inner product that positives should exceed and negatives fall below. Default 0.4.
    pub base: f64,
    /// ε, by how much a mined pair may be easier than the hardest of the other kind. Default −0.02.
    pub epsilon: f64,
}

/// Published values of the multi-similarity loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MultiSimilarityDefaults {
    /// LoOp's public code: α 2, β 50, λ 0.4, ε −0.02.
    #[default]
    Loop,
    /// The multi-similarity paper (CVPR 2019, arXiv 1904.06627): α 2, β 50, λ 1, ε 0.1.
    Paper,
}

/// The keys of a configuration file, all optional.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    defaults: MultiSimilarityDefaults,
    alpha: Option<f64>,
    beta: Option<f64>,
    base: Option<f64>,
    epsilon: Option<f64>,
}

impl From<Keys> for MultiSimilarityLossConfig {
    fn from(keys: Keys) -> Self {
        let defaults = Self::from_defaults(keys.defaults);
        Self {
            defaults: keys.defaults,
            alpha: keys.alpha.unwrap_or(defaults.alpha),
            beta: keys.beta.unwrap_or(defaults.beta),
            base: keys.base.unwrap_or(defaults.base),
            epsilon: keys.epsilon.unwrap_or(defaults.epsilon),
        }
    }
}

impl Config for MultiSimilarityLossConfig {}

impl Default for MultiSimilarityLossConfig {
    fn default() -> Self {
        Self::from_defaults(MultiSimilarityDefaults::default())
    }
}

impl MultiSimilarityLossConfig {
    /// The name in the configuration.
    pub const NAME: &str = "multi-similarity";

    /// The default space of the embeddings.
    pub const SPACE: Space = Space::Sphere;

    /// Creates the default configuration, that of [LoOp's code](MultiSimilarityDefaults::Loop).
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a configuration with published values.
    pub fn from_defaults(defaults: MultiSimilarityDefaults) -> Self {
        let (base, epsilon) = match defaults {
            MultiSimilarityDefaults::Loop => (0.4, -0.02),
            MultiSimilarityDefaults::Paper => (1.0, 0.1),
        };
        Self {
            defaults,
            alpha: 2.0,
            beta: 50.0,
            base,
            epsilon,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn check(&self) -> Checked {
        positive("loss.alpha", self.alpha)?;
        positive("loss.beta", self.beta)?;
        finite("loss.base", self.base)?;
        finite("loss.epsilon", self.epsilon)
    }

    /// Initialises the [loss](MultiSimilarityLoss).
    pub fn init(&self) -> MultiSimilarityLoss {
        MultiSimilarityLoss {
            alpha: self.alpha,
            beta: self.beta,
            base: self.base,
            epsilon: self.epsilon,
        }
    }
}

/// Multi-similarity loss (CVPR 2019, arXiv 1904.06627, equations 11 to 15):
///
/// ```text
/// L = 1/α log(1 + Σ exp(−α(s⁺ − λ))) + 1/β log(1 + Σ exp(β(s⁻ − λ)))
/// ```
///
/// over the anchor's mined positive inner products, s⁺ < max s⁻ + ε, and its mined negative ones,
/// s⁻ > min s⁺ − ε. The term of an empty sum is 0. An anchor without a positive or without a negative
/// is not counted: its loss is 0 with gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultiSimilarityLoss {
    /// α, above 0.
    pub alpha: f64,
    /// β, above 0.
    pub beta: f64,
    /// λ.
    pub base: f64,
    /// ε.
    pub epsilon: f64,
}

impl MultiSimilarityLoss {
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
        let Comparisons {
            positives,
            positive_mask,
            negatives,
            negative_mask,
            ..
        } = comparisons;
        let positive_mask = positives
            .clone()
            .lower(hardest.negative.clone().add_scalar(self.epsilon))
            .bool_and(positive_mask);
        let negative_mask = negatives
            .clone()
            .greater(hardest.positive.clone().sub_scalar(self.epsilon))
            .bool_and(negative_mask);
        let mined = count(positive_mask.clone(), &hardest.positive)
            + count(negative_mask.clone(), &hardest.negative);

        // log(1 + Σ exp z) is softplus of log Σ exp z.
        let positives = positives.sub_scalar(self.base).mul_scalar(-self.alpha);
        let negatives = negatives.sub_scalar(self.base).mul_scalar(self.beta);
        let losses = softplus(log_sum_exp(positives, positive_mask)).div_scalar(self.alpha)
            + softplus(log_sum_exp(negatives, negative_mask)).div_scalar(self.beta);
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
    fn mined_pairs_have_the_loss_and_its_gradient() {
        let config = MultiSimilarityLossConfig::new().with_beta(4.0);
        let loss = config.with_base(0.5).with_epsilon(0.125).init();
        // Mined are positives below 0.625 + 0.125 and negatives above 0.5 − 0.125.
        let (positives, negatives) = (vec![vec![0.5, 0.875]], vec![vec![0.625, 0.25]]);
        let measure = Measure::InnerProduct;
        let found = value_and_gradients(measure, &positives, &negatives, |comparisons| {
            loss.forward(comparisons)
        });
        // The positive equals λ, and β(s⁻ − λ) is 0.5.
        let (pull, push) = (1.0_f64, 0.5_f64.exp());
        assert_close(&found.losses, &[pull.ln_1p() / 2.0 + push.ln_1p() / 4.0]);
        assert_close(&found.of_positives, &[-pull / (1.0 + pull), 0.0]);
        assert_close(&found.of_negatives, &[push / (1.0 + push), 0.0]);
    }

    #[test]
    fn absent_keys_take_the_published_values_that_are_selected() {
        let config: MultiSimilarityLossConfig =
            toml::from_str("defaults = \"paper\"\nbase = 0.5").unwrap();
        let paper = MultiSimilarityLossConfig::from_defaults(MultiSimilarityDefaults::Paper);
        assert_eq!(config, paper.with_base(0.5));
    }
}
