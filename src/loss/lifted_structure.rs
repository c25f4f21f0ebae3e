//! Lifted structure loss.

use burn::config::Config;
use burn::tensor::{Tensor, activation::relu, backend::Backend};
use serde::{Deserialize, Serialize};

use super::{LossOutput, hardest::Hardest};
use crate::geometry::Measure;
use crate::geometry::transpose;
use crate::negatives::{
    Comparisons,
    masked::{count, log_sum_exp, mean},
};

/// Configuration of a [lifted structure loss](LiftedStructureLoss).
///
/// The defaults are those of LoOp's public code; the original loss (arXiv 1511.06452) is
/// `squared_hinge` and `both_sides` with a margin of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiftedStructureLossConfig {
    /// m, any finite number. Default 0.2.
    pub margin: f64,
    /// ½ max(0, J)² instead of max(0, J). Default false.
    pub squared_hinge: bool,
    /// Whether the sum takes in the positive's negatives beside the anchor's. It changes nothing
    /// where anchors are pairs (LoOp), whose negatives are those of both members. Default false.
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
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [margin](Self::margin) m.
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets whether the [hinge is squared](Self::squared_hinge).
    pub fn with_squared_hinge(mut self, squared_hinge: bool) -> Self {
        self.squared_hinge = squared_hinge;
        self
    }

    /// Sets whether [both sides' negatives](Self::both_sides) are summed.
    pub fn with_both_sides(mut self, both_sides: bool) -> Self {
        self.both_sides = both_sides;
        self
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

/// Lifted structured feature embedding (arXiv 1511.06452, equation 4; this form LoOp's code):
///
/// ```text
/// J = log Σ exp(−d⁻) + d⁺ + m,      L = max(0, J)      or, with the squared hinge, ½ max(0, J)²
/// ```
///
/// for each positive distance d⁺ of the anchor, averaged over them; the sum is over all its negative
/// distances d⁻, and with both sides also over those of the positive. An anchor without a positive or
/// without a negative is not counted and contributes 0 with gradient 0.
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
        let hardest = Hardest::detached_of(&comparisons);
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
        let pushed = excess
            .clone()
            .detach()
            .greater_elem(0.0)
            .bool_and(comparisons.positive_mask.clone());
        let losses = if self.squared_hinge {
            excess.square().mul_scalar(0.5)
        } else {
            excess
        };
        // Every negative of an anchor that pushes some positive has a gradient; the positive's own
        // are counted with that positive's anchor.
        let any = pushed.clone().any_dim(1);
        let mined = count(pushed, &like)
            + count(comparisons.negative_mask, &like).mask_fill(any.bool_not(), 0.0);
        LossOutput::new(mean(losses, comparisons.positive_mask), mined, hardest)
    }
}

/// log(exp a + exp b), without overflow; \[A, 1\] and \[1, A\] give \[A, A\].
fn log_add_exp<B: Backend>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    let shift = a.clone().detach().max_pair(b.clone().detach());
    ((a - shift.clone()).exp() + (b - shift.clone()).exp()).log() + shift
}
