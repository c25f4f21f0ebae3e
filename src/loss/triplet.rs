//! Triplet loss.

use burn::config::Config;
use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use super::hphn_triplet::hinge;
use super::{LossOutput, hardest::Hardest};
use crate::geometry::Measure;
use crate::negatives::{
    Comparisons,
    masked::{count, mean},
};

/// Configuration of a [triplet loss](TripletLoss).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TripletLossConfig {
    /// m in max(0, d⁺ − d⁻ + m), at least 0. Default 0.1, LoOp's code.
    pub margin: f64,
    /// softplus(d⁺ − d⁻) instead of the hinge; the margin is then not used. Default false.
    pub soft_margin: bool,
    /// Which triplets are formed. Default [`Triplets::Hardest`].
    pub triplets: Triplets,
}

/// Which negatives a positive of an anchor is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Triplets {
    /// The nearest negative of the anchor.
    #[default]
    Hardest,
    /// The nearest negative that is not nearer than the positive; where there is none, the farthest
    /// negative (FaceNet, arXiv 1503.03832, section 3.2).
    SemiHard,
    /// Every negative of the anchor ("batch all", arXiv 1703.07737); hinge only.
    All,
    /// The one negative that stands half a batch on, whatever it is: a draw, for the order of the
    /// classes is one. So in LoOp's code, where only the first half of the batch are anchors.
    Drawn,
}

impl Config for TripletLossConfig {}

impl Default for TripletLossConfig {
    fn default() -> Self {
        Self {
            margin: 0.1,
            soft_margin: false,
            triplets: Triplets::default(),
        }
    }
}

impl TripletLossConfig {
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

    /// Sets which [triplets](Self::triplets) are formed.
    pub fn with_triplets(mut self, triplets: Triplets) -> Self {
        self.triplets = triplets;
        self
    }

    /// Initialises the [loss](TripletLoss).
    ///
    /// # Panics
    /// If all triplets are asked for with the soft margin.
    pub fn init(&self) -> TripletLoss {
        assert!(
            !(self.soft_margin && self.triplets == Triplets::All),
            "{NO_SOFT_SUM}"
        );
        TripletLoss {
            margin: self.margin,
            soft_margin: self.soft_margin,
            triplets: self.triplets,
        }
    }
}

/// The triplet loss of every positive of an anchor, averaged over them:
///
/// ```text
/// L = max(0, d⁺ − d⁻ + m)      or, with the soft margin,      L = log(1 + exp(d⁺ − d⁻))
/// ```
///
/// with one negative distance d⁻ for each positive distance d⁺, or all of them, as
/// [`triplets`](Triplets) says. An anchor without a positive or without a negative (the drawn one,
/// where it is drawn) is not counted and contributes 0 with gradient 0.
///
/// Semi-hard and all triplets sort each anchor's comparisons, so that neither takes memory for A·Kp·Kn
/// triplets. On GPUs Burn 0.21 sorts on the host: these two copy from the device in every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripletLoss {
    /// m, at least 0.
    pub margin: f64,
    /// Whether the soft margin replaces the hinge.
    pub soft_margin: bool,
    /// Which triplets are formed.
    pub triplets: Triplets,
}

impl TripletLoss {
    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances; Kn = A for drawn negatives
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances, or with all triplets and the soft margin.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Measure::Distance);
        let comparisons = match self.triplets {
            Triplets::Drawn => drawn(comparisons),
            _ => comparisons,
        };
        let hardest = Hardest::of(&comparisons);
        let negatives = match self.triplets {
            // The drawn negative is the only one.
            Triplets::Hardest | Triplets::Drawn => hardest.negative.clone(),
            Triplets::SemiHard => semi_hard(&comparisons),
            Triplets::All => return self.all(comparisons, hardest),
        };
        let excess = comparisons.positives - negatives;
        let losses = hinge(excess, self.margin, self.soft_margin);
        let pushed = losses
            .clone()
            .detach()
            .greater_elem(0.0)
            .bool_and(comparisons.positive_mask.clone());
        let triplets = count(pushed, &hardest.positive);
        let mined = match self.triplets {
            // The triplets of an anchor share their negative.
            Triplets::Hardest | Triplets::Drawn => triplets.clone() + triplets.clamp_max(1.0),
            _ => triplets.mul_scalar(2.0),
        };
        LossOutput::new(mean(losses, comparisons.positive_mask), mined, hardest)
    }

    /// The hinge of all triplets: Σ max(0, d⁺ + m − d⁻) is Σ c⁺(d⁺ + m) − Σ c⁻d⁻ with c⁺ the number
    /// of negatives below d⁺ + m, and c⁻ that of positives above d⁻ − m. The counts are piecewise
    /// constant, so that this has the right gradient too.
    fn all<B: Backend>(&self, comparisons: Comparisons<B>, hardest: Hardest<B>) -> LossOutput<B> {
        assert!(!self.soft_margin, "{NO_SOFT_SUM}");
        let positives = comparisons.positives.add_scalar(self.margin);
        let [anchors, columns] = positives.dims();
        let ranked = Ranked::of(
            positives.clone().detach(),
            comparisons.positive_mask.clone(),
            comparisons.negatives.clone().detach(),
            comparisons.negative_mask.clone(),
        );
        let negatives_before = ranked.is_negative.clone().cumsum(1);
        let positives_before = ranked.is_positive.clone().cumsum(1);
        let positives_after = ranked.is_positive.clone().sum_dim(1) - positives_before;
        let counts = ranked.at_columns(
            negatives_before * ranked.is_positive.clone()
                + positives_after * ranked.is_negative.clone(),
        );
        let [_, all] = counts.dims();
        let of_positives = counts.clone().slice([0..anchors, 0..columns]);
        let of_negatives = counts.clone().slice([0..anchors, columns..all]);
        let total = (positives * of_positives).sum_dim(1)
            - (comparisons.negatives * of_negatives).sum_dim(1);
        let triplets = count(comparisons.positive_mask, &hardest.positive)
            * count(comparisons.negative_mask, &hardest.positive);
        let mined = count(counts.greater_elem(0.0), &hardest.positive);
        LossOutput::new(total / triplets.clamp_min(1.0), mined, hardest)
    }
}

const NO_SOFT_SUM: &str =
    "all triplets are summed in O(N² log N) with the hinge only, not with the soft margin";

/// The comparisons with the one negative that stands half the anchors on.
fn drawn<B: Backend>(comparisons: Comparisons<B>) -> Comparisons<B> {
    let [anchors, columns] = comparisons.negatives.dims();
    assert_eq!(
        anchors, columns,
        "the drawn negative of an anchor is another anchor, but there are {columns} negatives"
    );
    let device = comparisons.negatives.device();
    let shift = (anchors / 2) as i64;
    let column = Tensor::<B, 1, Int>::arange(shift..shift + anchors as i64, &device)
        .remainder_scalar(anchors as i64)
        .reshape([anchors, 1]);
    Comparisons {
        negatives: comparisons.negatives.gather(1, column.clone()),
        negative_mask: comparisons
            .negative_mask
            .int()
            .gather(1, column)
            .greater_elem(0),
        ..comparisons
    }
}

/// For every positive the nearest negative of the anchor that is not nearer; where there is none,
/// the farthest negative. \[A, Kp\]
fn semi_hard<B: Backend>(comparisons: &Comparisons<B>) -> Tensor<B, 2> {
    let [anchors, columns] = comparisons.positives.dims();
    let negatives = comparisons.negatives.clone().detach();
    let ranked = Ranked::of(
        comparisons.positives.clone().detach(),
        comparisons.positive_mask.clone(),
        negatives.clone(),
        comparisons.negative_mask.clone(),
    );
    let [_, all] = ranked.is_negative.dims();
    // How many negatives are nearer: those before the first of all equal values, for a sort may
    // order these in any way.
    let before = ranked.is_negative.clone().cumsum(1) - ranked.is_negative.clone();
    let repeated = Tensor::cat(
        vec![
            ranked
                .values
                .clone()
                .slice([0..anchors, 0..1])
                .equal_elem(f32::NAN),
            ranked
                .values
                .clone()
                .slice([0..anchors, 1..all])
                .equal(ranked.values.clone().slice([0..anchors, 0..all - 1])),
        ],
        1,
    );
    let nearer = before.mask_fill(repeated, 0.0).cummax(1);
    let nearer = ranked.at_columns(nearer).slice([0..anchors, 0..columns]);
    // The farthest has all others before it.
    let last = count(comparisons.negative_mask.clone(), &negatives)
        .sub_scalar(1.0)
        .clamp_min(0.0);
    let rising = negatives
        .mask_fill(comparisons.negative_mask.clone().bool_not(), f32::MAX)
        .argsort(1);
    let place = nearer.min_pair(last.expand([anchors, columns])).int();
    comparisons
        .negatives
        .clone()
        .gather(1, rising.gather(1, place))
}

/// The positives and negatives of each anchor in one rising order, \[A, Kp + Kn\].
struct Ranked<B: Backend> {
    /// The values in that order; `f32::MAX` where there is neither.
    values: Tensor<B, 2>,
    /// The columns in that order: positives 0 to Kp − 1, then negatives.
    columns: Tensor<B, 2, Int>,
    /// 1 where a positive stands in that order, else 0.
    is_positive: Tensor<B, 2>,
    /// 1 where a negative stands in that order, else 0.
    is_negative: Tensor<B, 2>,
}

impl<B: Backend> Ranked<B> {
    fn of(
        positives: Tensor<B, 2>,
        positive_mask: Tensor<B, 2, Bool>,
        negatives: Tensor<B, 2>,
        negative_mask: Tensor<B, 2, Bool>,
    ) -> Self {
        let (flags_of_positives, flags_of_negatives) =
            (positive_mask.clone().float(), negative_mask.clone().float());
        let nothing = |of: &Tensor<B, 2>| of.zeros_like();
        let is_positive = Tensor::cat(
            vec![flags_of_positives.clone(), nothing(&flags_of_negatives)],
            1,
        );
        let is_negative = Tensor::cat(vec![nothing(&flags_of_positives), flags_of_negatives], 1);
        let values = Tensor::cat(
            vec![
                positives.mask_fill(positive_mask.bool_not(), f32::MAX),
                negatives.mask_fill(negative_mask.bool_not(), f32::MAX),
            ],
            1,
        );
        let (values, columns) = values.sort_with_indices(1);
        Self {
            values,
            is_positive: is_positive.gather(1, columns.clone()),
            is_negative: is_negative.gather(1, columns.clone()),
            columns,
        }
    }

    /// Values that stand in rising order, at the columns they belong to.
    fn at_columns(&self, values: Tensor<B, 2>) -> Tensor<B, 2> {
        let zeros = values.zeros_like();
        zeros.scatter(1, self.columns.clone(), values, IndexingUpdateOp::Add)
    }
}
