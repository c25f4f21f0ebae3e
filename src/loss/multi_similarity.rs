//! Multi-similarity loss.

use burn::config::Config;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::{LossOutput, hardest::Hardest};
use crate::geometry::Measure;
use crate::negatives::{
    Comparisons,
    masked::{count, log_sum_exp, softplus},
};

/// Configuration of a [multi-similarity loss](MultiSimilarityLoss).
///
/// In a configuration file `defaults` fills the four numbers that are not given themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Keys")]
pub struct MultiSimilarityLossConfig {
    /// Whose numbers are taken where none is given.
    pub defaults: MultiSimilarityDefaults,
    /// α, how sharply positives are weighed, above 0.
    pub alpha: f64,
    /// β, how sharply negatives are weighed, above 0.
    pub beta: f64,
    /// λ, the inner product that positives should exceed and negatives fall below.
    pub base: f64,
    /// ε, by how much a pair may be easier than the hardest of the other kind and still count.
    pub epsilon: f64,
}

/// Published sets of numbers of the multi-similarity loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        let defaults = Self::of(keys.defaults);
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
        Self::of(MultiSimilarityDefaults::default())
    }
}

impl MultiSimilarityLossConfig {
    /// The defaults, which are those of [LoOp's code](MultiSimilarityDefaults::Loop).
    pub fn new() -> Self {
        Self::default()
    }

    /// A published set of numbers.
    pub fn of(defaults: MultiSimilarityDefaults) -> Self {
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

    /// Sets [α](Self::alpha).
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets [β](Self::beta).
    pub fn with_beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// Sets [λ](Self::base).
    pub fn with_base(mut self, base: f64) -> Self {
        self.base = base;
        self
    }

    /// Sets [ε](Self::epsilon).
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
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
/// s⁻ > min s⁺ − ε. A sum over none is 0. An anchor without a positive or without a negative is not
/// counted and contributes 0 with gradient 0.
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
}
