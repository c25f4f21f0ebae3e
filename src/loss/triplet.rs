//! Triplet loss.

use burn::config::Config;
use burn::tensor::{FloatDType, Int, Tensor, backend::Backend};
use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::Hardest;
use super::hinge::hinge;
use super::masked::{count, mean};
use super::output::LossOutput;
use super::ranked::Ranked;
use super::triplet_blocks;
use crate::geometry::{Measure, is_host};
use crate::negatives::{Comparisons, Space};
use crate::setting::{Checked, SettingError, not_negative};

/// Configuration of a [triplet loss](TripletLoss).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
pub struct TripletLossConfig {
    /// The margin m in max(0, d⁺ − d⁻ + m), at least 0. Default 0.1, as in LoOp's code.
    #[schemars(range(min = 0))]
    pub margin: f64,
    /// Whether the loss is log(1 + exp(d⁺ − d⁻)) instead of the hinge; the margin is then not used.
    /// Default false.
    pub soft_margin: bool,
    /// The negatives that a positive is compared with. Default `hardest`.
    pub triplets: Triplets,
}

/// The negatives that each positive of an anchor is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Triplets {
    /// The nearest negative of the anchor.
    #[default]
    Hardest,
    /// The nearest negative that is not nearer than the positive, or the farthest negative if all
    /// are nearer (FaceNet, arXiv 1503.03832, section 3.2).
    SemiHard,
    /// Every negative of the anchor ("batch all", arXiv 1703.07737); hinge only.
    All,
    /// The anchor half a batch further on, if it is a negative. This is a random negative because
    /// the order of the classes in a batch is random. LoOp's code does the same, with anchors from
    /// the first half of the batch only.
    Random,
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
    /// The name in the configuration.
    pub const NAME: &str = "triplet";

    /// The default space of the embeddings.
    pub const SPACE: Space = Space::Sphere;

    /// Creates the default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// If the margin is out of range, or if all triplets are combined with the soft margin.
    pub fn check(&self) -> Checked {
        not_negative("loss.margin", self.margin)?;
        if self.soft_margin && self.triplets == Triplets::All {
            return Err(SettingError::value(
                "loss.soft_margin",
                true,
                "loss.triplets = \"all\" supports the hinge only; remove the soft margin or choose \
                 other triplets",
            ));
        }
        Ok(())
    }

    /// Initialises the [loss](TripletLoss).
    ///
    /// # Panics
    /// If all triplets are combined with the soft margin.
    pub fn init(&self) -> TripletLoss {
        assert!(
            !(self.soft_margin && self.triplets == Triplets::All),
            "{ALL_WITH_SOFT_MARGIN}"
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
/// [`triplets`](Triplets) selects the negative distance d⁻ of each positive distance d⁺, or all of
/// them. An anchor without a positive or without a negative (for random triplets, without its random
/// negative) is not counted: its loss is 0 with gradient 0.
///
/// Semi-hard and all triplets sort each anchor's comparisons on the CPU, so that they need neither time nor memory
/// for A·Kp·Kn triplets. Burn 0.21 cannot sort on a GPU, which therefore compares every positive of an anchor with
/// every negative, in blocks of anchors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripletLoss {
    /// m, at least 0.
    pub margin: f64,
    /// Whether the soft margin replaces the hinge.
    pub soft_margin: bool,
    /// The negatives that a positive is compared with.
    pub triplets: Triplets,
}

impl TripletLoss {
    /// The measure of the comparisons.
    pub const MEASURE: Measure = Measure::Distance;

    /// Computes the loss of every anchor, with its reductions and statistics.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances; Kn = A for random negatives
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances, or with all triplets and the soft margin.
    pub fn forward<B: Backend>(&self, comparisons: Comparisons<B>) -> LossOutput<B> {
        comparisons.expect(Self::MEASURE);
        let comparisons = match self.triplets {
            Triplets::Random => with_random_negatives(comparisons),
            _ => comparisons,
        };
        let hardest = Hardest::new(&comparisons);
        let negatives = match self.triplets {
            // The random negative is the only one.
            Triplets::Hardest | Triplets::Random => hardest.negative.clone(),
            Triplets::SemiHard => semi_hard(&comparisons),
            Triplets::All => return self.all(comparisons, hardest),
        };
        let excess = comparisons.positives - negatives;
        let losses = hinge(excess, self.margin, self.soft_margin);
        let active = losses
            .clone()
            .detach()
            .greater_elem(0.0)
            .bool_and(comparisons.positive_mask.clone());
        let triplets = count(active, &hardest.positive);
        let mined = match self.triplets {
            // The triplets of an anchor share their negative.
            Triplets::Hardest | Triplets::Random => triplets.clone() + triplets.clamp_max(1.0),
            _ => triplets.mul_scalar(2.0),
        };
        LossOutput::new(mean(losses, comparisons.positive_mask), mined, hardest)
    }

    /// Computes the loss of every anchor, 0 for an anchor that is not counted.
    ///
    /// # Shapes
    /// - comparisons: \[A, Kp\] positive, \[A, Kn\] negative distances; Kn = A for random negatives
    /// - output: \[A\]
    ///
    /// # Panics
    /// If the comparisons are not distances, or with all triplets and the soft margin.
    pub fn forward_no_reduction<B: Backend>(&self, comparisons: Comparisons<B>) -> Tensor<B, 1> {
        self.forward(comparisons).losses
    }

    /// The hinge of all triplets: Σ max(0, d⁺ + m − d⁻) is Σ c⁺(d⁺ + m) − Σ c⁻d⁻, where c⁺ is the
    /// number of negatives below d⁺ + m and c⁻ the number of positives above d⁻ − m. The counts are
    /// piecewise constant, so the gradient is exact too.
    fn all<B: Backend>(&self, comparisons: Comparisons<B>, hardest: Hardest<B>) -> LossOutput<B> {
        assert!(!self.soft_margin, "{ALL_WITH_SOFT_MARGIN}");
        let positives = comparisons.positives.clone().add_scalar(self.margin);
        let [of_positives, of_negatives] = match is_host::<B>(&positives.device()) {
            true => crossings_by_sorting(positives.clone(), &comparisons),
            false => {
                let dtype: FloatDType = positives.dtype().into();
                triplet_blocks::crossings(positives.clone(), &comparisons)
                    .map(|counts| counts.float().cast(dtype))
            }
        };
        let total = (positives * of_positives.clone()).sum_dim(1)
            - (comparisons.negatives * of_negatives.clone()).sum_dim(1);
        let triplets = count(comparisons.positive_mask, &hardest.positive)
            * count(comparisons.negative_mask, &hardest.positive);
        let counted = |counts: Tensor<B, 2>| count(counts.greater_elem(0.0), &hardest.positive);
        let mined = counted(of_positives) + counted(of_negatives);
        LossOutput::new(total / triplets.clamp_min(1.0), mined, hardest)
    }
}

const ALL_WITH_SOFT_MARGIN: &str =
    "all triplets are summed in O(N² log N) with the hinge only, not with the soft margin";

/// Keeps one negative of each anchor: the anchor half the batch further on.
fn with_random_negatives<B: Backend>(comparisons: Comparisons<B>) -> Comparisons<B> {
    let [anchors, columns] = comparisons.negatives.dims();
    assert_eq!(
        anchors, columns,
        "the random negative of an anchor is another anchor, but {anchors} anchors have {columns} \
         negatives"
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

/// Returns the number of negatives below each positive, \[A, Kp\], and the number of positives above each negative,
/// \[A, Kn\]. Of equal values, some count and others do not.
pub(super) fn crossings_by_sorting<B: Backend>(
    positives: Tensor<B, 2>,
    comparisons: &Comparisons<B>,
) -> [Tensor<B, 2>; 2] {
    let [anchors, columns] = positives.dims();
    let ranked = Ranked::new(
        positives.detach(),
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
    [0..columns, columns..all].map(|columns| counts.clone().slice([0..anchors, columns]))
}

/// Returns for every positive the nearest negative of the anchor that is not nearer, or the farthest
/// negative if all are nearer, \[A, Kp\].
fn semi_hard<B: Backend>(comparisons: &Comparisons<B>) -> Tensor<B, 2> {
    let columns = match is_host::<B>(&comparisons.positives.device()) {
        true => semi_hard_columns_by_sorting(comparisons),
        false => triplet_blocks::semi_hard_columns(comparisons),
    };
    comparisons.negatives.clone().gather(1, columns)
}

/// Returns the columns of these negatives, \[A, Kp\].
pub(super) fn semi_hard_columns_by_sorting<B: Backend>(
    comparisons: &Comparisons<B>,
) -> Tensor<B, 2, Int> {
    let [anchors, columns] = comparisons.positives.dims();
    let negatives = comparisons.negatives.clone().detach();
    let ranked = Ranked::new(
        comparisons.positives.clone().detach(),
        comparisons.positive_mask.clone(),
        negatives.clone(),
        comparisons.negative_mask.clone(),
    );
    let [_, all] = ranked.is_negative.dims();
    // The number of nearer negatives. Of equal values it is the count before the first one, because
    // a sort may order equal values in any way.
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
    // The index of the farthest negative.
    let last = count(comparisons.negative_mask.clone(), &negatives)
        .sub_scalar(1.0)
        .clamp_min(0.0);
    let ascending = negatives
        .mask_fill(comparisons.negative_mask.clone().bool_not(), f32::MAX)
        .argsort(1);
    let index = nearer.min_pair(last.expand([anchors, columns])).int();
    ascending.gather(1, index)
}

#[cfg(test)]
mod tests {
    use super::super::test_values::*;
    use super::*;

    /// Two anchors with two positives and two negatives each, at margin 0.25.
    fn computed(triplets: Triplets) -> ValueAndGradients {
        let positives = vec![vec![0.5, 1.0], vec![0.25, 0.5]];
        let negatives = vec![vec![0.625, 1.125], vec![2.0, 1.0]];
        let config = TripletLossConfig::new().with_margin(0.25);
        let loss = config.with_triplets(triplets).init();
        value_and_gradients(Measure::Distance, &positives, &negatives, |comparisons| {
            loss.forward(comparisons)
        })
    }

    #[test]
    fn hardest_triplets_share_the_nearest_negative() {
        let found = computed(Triplets::Hardest);
        assert_close(&found.losses, &[(0.125 + 0.625) / 2.0, 0.0]);
        assert_close(&found.of_positives, &[0.5, 0.5, 0.0, 0.0]);
        assert_close(&found.of_negatives, &[-1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn semi_hard_triplets_take_the_next_negative_beyond_each_positive() {
        let found = computed(Triplets::SemiHard);
        assert_close(&found.losses, &[(0.125 + 0.125) / 2.0, 0.0]);
        assert_close(&found.of_positives, &[0.5, 0.5, 0.0, 0.0]);
        assert_close(&found.of_negatives, &[-0.5, -0.5, 0.0, 0.0]);
    }

    #[test]
    fn all_triplets_are_averaged() {
        let found = computed(Triplets::All);
        assert_close(&found.losses, &[(0.125 + 0.625 + 0.125) / 4.0, 0.0]);
        assert_close(&found.of_positives, &[0.25, 0.5, 0.0, 0.0]);
        assert_close(&found.of_negatives, &[-0.5, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn random_triplets_take_the_anchor_half_a_batch_further_on() {
        let found = computed(Triplets::Random);
        // Column 1 for the first anchor, column 0 for the second.
        assert_close(&found.losses, &[0.125 / 2.0, 0.0]);
        assert_close(&found.of_positives, &[0.0, 0.5, 0.0, 0.0]);
        assert_close(&found.of_negatives, &[0.0, -0.5, 0.0, 0.0]);
    }
}
