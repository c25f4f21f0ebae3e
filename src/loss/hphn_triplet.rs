//! Hard positive, hard negative triplet loss.

use burn::config::Config;
use burn::tensor::{Tensor, activation::relu, backend::Backend};
use serde::{Deserialize, Serialize};

use super::{LossOutput, hardest::Hardest};
use crate::geometry::Measure;
use crate::negatives::{
    Comparisons,
    masked::{count, softplus},
};

/// Configuration of a [hard positive, hard negative triplet loss](HphnTripletLoss).
///
/// It is Burn's `Config` by hand, because the derive can neither fill missing keys with defaults nor
/// refuse unknown ones, and this is also a section of the configuration file.
///
/// ```
/// use burn::backend::Autodiff;
/// use burn::tensor::{Int, Tensor};
/// use loop_dml::loss::HphnTripletLossConfig;
/// use loop_dml::negatives::{Negatives, Space};
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
/// let comparisons =
///     Negatives::Loop.compare(embeddings.clone(), labels, Space::Sphere, Measure::Distance);
/// let mean = loss.forward(comparisons).mean();
/// assert!((mean.clone().into_scalar() - (0.6325 - 0.2828 + 0.2)).abs() < 1e-3);
/// // The step that brings the rows of a class together and the classes apart is against this.
/// let gradient = embeddings.grad(&mean.backward());
/// assert_eq!(gradient.unwrap().dims(), [4, 2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HphnTripletLossConfig {
    /// m in max(0, d⁺ − d⁻ + m), at least 0 (1e-5 in the published command). Default 0.2.
    pub margin: f64,
    /// softplus(d⁺ − d⁻) instead of the hinge; the margin is then not used. Default false.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [margin](Self::margin) m.
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets whether the [soft margin](Self::soft_margin) replaces the hinge.
    pub fn with_soft_margin(mut self, soft_margin: bool) -> Self {
        self.soft_margin = soft_margin;
        self
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
/// An anchor without a positive or without a negative is not counted and contributes 0 with
/// gradient 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HphnTripletLoss {
    /// m, at least 0.
    pub margin: f64,
    /// Whether the soft margin replaces the hinge.
    pub soft_margin: bool,
}

impl HphnTripletLoss {
    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Measure::Distance);
        let hardest = Hardest::of(&comparisons);
        let excess = hardest.positive.clone() - hardest.negative.clone();
        let losses = hinge(excess, self.margin, self.soft_margin);
        // The one positive and the one negative.
        let active = losses.clone().detach().greater_elem(0.0);
        let mined = count(active, &hardest.positive).mul_scalar(2.0);
        LossOutput::new(losses, mined, hardest)
    }
}

/// max(0, x + m), or log(1 + exp x) with the soft margin.
pub(super) fn hinge<B: Backend>(
    excess: Tensor<B, 2>,
    margin: f64,
    soft_margin: bool,
) -> Tensor<B, 2> {
    if soft_margin {
        softplus(excess)
    } else {
        relu(excess.add_scalar(margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_fills_missing_keys_and_refuses_unknown_ones() {
        let config: HphnTripletLossConfig = toml::from_str("margin = 0.5").unwrap();
        assert_eq!(config, HphnTripletLossConfig::new().with_margin(0.5));
        assert!(toml::from_str::<HphnTripletLossConfig>("margins = 0.5").is_err());
        assert_eq!(config.with_soft_margin(true).init().margin, 0.5);
    }
}
