//! Every loss with every negatives strategy, against the [oracle](super::oracle).

mod edge_cases;
mod loop_variants;

use burn::tensor::{Int, Tensor, backend::Backend};
use proptest::prelude::*;

use super::oracle;
use super::*;
use crate::geometry::Measure;
use crate::geometry::oracle::*;
use crate::geometry::test_batches::{Draws, Kind};
use crate::model::unit_length;
use crate::negatives::{LoopAnchors, LoopNegatives, LoopPairs, Negatives, Space};

/// The published strategies.
const STRATEGIES: [Negatives; 4] = [
    Negatives::None,
    Negatives::EmbeddingExpansion { points: 2 },
    Negatives::EmbeddingExpansion { points: 3 },
    Negatives::Loop(LoopNegatives::PUBLISHED),
];

/// The variants of LoOp.
const VARIANTS: [Negatives; 5] = [
    variant(LoopPairs::Consecutive, LoopAnchors::Images),
    variant(LoopPairs::Consecutive, LoopAnchors::Points),
    variant(LoopPairs::All, LoopAnchors::Pairs),
    variant(LoopPairs::All, LoopAnchors::Images),
    variant(LoopPairs::All, LoopAnchors::Points),
];

const fn variant(pairs: LoopPairs, anchors: LoopAnchors) -> Negatives {
    Negatives::Loop(LoopNegatives {
        pairs,
        anchors,
        images_per_class: None,
    })
}

/// Every strategy in every space.
fn all_strategies() -> impl Iterator<Item = (Negatives, Space)> {
    let strategies = STRATEGIES.into_iter().chain(VARIANTS);
    strategies.flat_map(|strategy| SPACES.map(|space| (strategy, space)))
}

const SPACES: [Space; 2] = [Space::Sphere, Space::Euclidean];

fn losses() -> Vec<Loss> {
    let triplets = [
        Triplets::Hardest,
        Triplets::SemiHard,
        Triplets::All,
        Triplets::Random,
    ];
    let mut losses: Vec<Loss> = triplets
        .map(|triplets| {
            TripletLossConfig::new()
                .with_triplets(triplets)
                .with_margin(0.3)
        })
        .map(|config| Loss::Triplet(config.init()))
        .into();
    let soft = TripletLossConfig::new().with_soft_margin(true);
    let semi_hard = soft.with_triplets(Triplets::SemiHard);
    losses.extend([soft, semi_hard].map(|config| Loss::Triplet(config.init())));
    let hphn = HphnTripletLossConfig::new();
    let soft = hphn.with_soft_margin(true);
    losses.extend([hphn, soft].map(|config| Loss::HphnTriplet(config.init())));
    let lifted = LiftedStructureLossConfig::new();
    let original = lifted
        .with_squared_hinge(true)
        .with_both_sides(true)
        .with_margin(1.0);
    losses.extend([lifted, original].map(|config| Loss::LiftedStructure(config.init())));
    let contrastive = ContrastiveLossConfig::new();
    let original = contrastive.with_squared_hinge(false);
    let margins = original.with_positive_margin(0.4).with_negative_margin(1.2);
    losses.extend([contrastive, original, margins].map(|config| Loss::Contrastive(config.init())));
    let n_pair = NPairLossConfig::new();
    let penalised = n_pair.with_l2_penalty(0.02);
    losses.extend([n_pair, penalised].map(|config| Loss::NPair(config.init())));
    losses.extend(
        [
            MultiSimilarityDefaults::Loop,
            MultiSimilarityDefaults::Paper,
        ]
        .map(MultiSimilarityLossConfig::from_defaults)
        .map(|config| Loss::MultiSimilarity(config.init())),
    );
    losses
}

/// Creates P classes of K images, each class scattered around its own centre, with rows of different
/// lengths.
fn batch(classes: usize, images: usize, dim: usize, seed: u64) -> (Rows, Vec<i64>) {
    let mut draws = Draws::new(seed);
    let mut rows = Rows::new();
    let mut labels = Vec::new();
    for class in 0..classes {
        let centre = draws.direction(dim);
        for _ in 0..images {
            let direction = draws.direction(dim);
            let length = draws.uniform(0.7, 1.6);
            let both = centre.iter().zip(&direction);
            rows.push(both.map(|(c, d)| (length * (c + 0.7 * d)) as f32).collect());
            labels.push(10 + class as i64);
        }
    }
    (rows, labels)
}

fn output<B: Backend>(
    loss: &Loss,
    strategy: Negatives,
    space: Space,
    rows: Tensor<B, 2>,
    labels: &[i64],
) -> LossOutput<B> {
    let labels = Tensor::<B, 1, Int>::from_data(labels, &Default::default());
    let rows = match space {
        Space::Sphere => unit_length(rows),
        Space::Euclidean => rows,
    };
    loss.forward(strategy.compare(rows, labels, space, loss.measure()))
}

fn statistics<B: Backend>(output: &LossOutput<B>) -> LossStatistics {
    LossStatistics::from_data(output.statistics().into_data()).unwrap()
}

/// Computes the mean loss, its gradient and the statistics.
fn mean_and_gradient(
    loss: &Loss,
    strategy: Negatives,
    space: Space,
    rows: &Rows,
    labels: &[i64],
) -> (f64, Vec<f64>, LossStatistics) {
    let leaf = tensor::<TestAutodiff>(rows).require_grad();
    let output = output(loss, strategy, space, leaf.clone(), labels);
    let mean = output.mean();
    let gradient = leaf.grad(&mean.clone().backward()).unwrap();
    (values(mean)[0], values(gradient), statistics(&output))
}

/// Computes the loss of every counted anchor with the oracle, from rows of any length.
fn expected_losses(
    loss: &Loss,
    strategy: Negatives,
    space: Space,
    rows: &[Vec<f64>],
    labels: &[i64],
) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = match space {
        Space::Sphere => rows.iter().map(|row| unit(row)).collect(),
        Space::Euclidean => rows.to_vec(),
    };
    let anchors = oracle::anchors(strategy, &rows, labels, space, loss.measure());
    (0..anchors.len())
        .filter(|&i| anchors[i].is_counted())
        .map(|i| oracle::loss(loss, &anchors, i))
        .collect()
}

/// Whether the order of the batch determines the negatives.
fn depends_on_order(loss: &Loss) -> bool {
    matches!(loss, Loss::Triplet(loss) if loss.triplets == Triplets::Random)
}

/// Computes the mean hardest positive and the mean hardest negative of the counted anchors with the
/// oracle.
fn expected_means(
    loss: &Loss,
    strategy: Negatives,
    space: Space,
    rows: &[Vec<f64>],
    labels: &[i64],
) -> (f64, f64) {
    let rows: Vec<Vec<f64>> = match space {
        Space::Sphere => rows.iter().map(|row| unit(row)).collect(),
        Space::Euclidean => rows.to_vec(),
    };
    let anchors = oracle::anchors(strategy, &rows, labels, space, loss.measure());
    let counted: Vec<_> = anchors
        .iter()
        .filter(|anchor| anchor.is_counted())
        .collect();
    let mean = |of: &dyn Fn(&oracle::Anchor) -> f64| {
        counted.iter().map(|anchor| of(anchor)).sum::<f64>() / counted.len() as f64
    };
    (
        mean(&|anchor| anchor.hardest_positive(loss.measure())),
        mean(&|anchor| anchor.hardest_negative(loss.measure())),
    )
}

/// The number of comparisons of an anchor of a batch of equal classes, itself included: all images, or if anchors
/// are pairs, the pairs of other classes, its positive and itself.
fn comparisons_per_anchor(strategy: Negatives, labels: &[i64]) -> usize {
    let of_class = labels.iter().filter(|&label| *label == labels[0]).count();
    let other_classes = labels.len() / of_class - 1;
    match strategy {
        Negatives::Loop(variant) if variant.anchors == LoopAnchors::Pairs => {
            let pairs = match variant.pairs {
                LoopPairs::Consecutive => of_class / 2,
                LoopPairs::All => of_class * (of_class - 1) / 2,
            };
            other_classes * pairs + 2
        }
        _ => labels.len(),
    }
}

#[test]
fn losses_and_statistics_agree_with_the_formulas() {
    for (classes, images, dim) in [(8, 2, 8), (4, 4, 16), (2, 6, 5), (6, 2, 64)] {
        let (rows, labels) = batch(classes, images, dim, 3);
        for (strategy, space) in STRATEGIES
            .into_iter()
            .flat_map(|strategy| SPACES.map(|space| (strategy, space)))
        {
            for loss in losses() {
                let case =
                    format!("{classes} x {images} x {dim}, {strategy:?}, {space:?}, {loss:?}");
                let output = output(
                    &loss,
                    strategy,
                    space,
                    tensor::<TestBackend>(&rows),
                    &labels,
                );
                let expected = expected_losses(&loss, strategy, space, &widened(&rows), &labels);
                let actual = values(output.losses.clone());
                assert_eq!(actual.len(), expected.len(), "{case}");
                // Relative to the largest loss: a hinge near 0 is a difference of numbers near 1.
                let scale = expected.iter().copied().fold(1.0, f64::max);
                for (actual, expected) in actual.iter().zip(&expected) {
                    assert!(
                        (actual - expected).abs() <= 1e-5 * scale,
                        "{case}: {actual} instead of {expected}"
                    );
                }
                let sum: f64 = expected.iter().sum();
                let statistics = statistics(&output);
                assert!(
                    (statistics.sum - sum).abs() <= 1e-5 * sum.max(1.0),
                    "{case}"
                );
                assert_eq!(statistics.anchors, expected.len(), "{case}");
                // A loss within rounding of the hinge may or may not be active.
                let active = |least: f64| expected.iter().filter(|&&loss| loss > least).count();
                assert!(
                    (active(1e-6)..=active(-1e-6)).contains(&statistics.active),
                    "{case}: {} active, {} expected",
                    statistics.active,
                    active(0.0)
                );
                assert_eq!(statistics.mined > 0, statistics.active > 0, "{case}");
                if !depends_on_order(&loss) {
                    let (positive, negative) =
                        expected_means(&loss, strategy, space, &widened(&rows), &labels);
                    assert!(
                        (statistics.mean_positive - positive).abs() <= 1e-5,
                        "{case}"
                    );
                    assert!(
                        (statistics.mean_negative - negative).abs() <= 1e-5,
                        "{case}"
                    );
                }
                let pairs = match &loss {
                    Loss::NPair(_) => {
                        actual.len() * (comparisons_per_anchor(strategy, &labels) - 1)
                    }
                    Loss::HphnTriplet(_) => 2 * statistics.active,
                    _ => continue,
                };
                // N-pair's positives and negatives all have a gradient.
                assert_eq!(statistics.mined, pairs, "{case}");
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences_of_the_formulas() {
    for (classes, images) in [(3, 2), (2, 4)] {
        let (rows, labels) = batch(classes, images, 4, 5);
        for (strategy, space) in STRATEGIES
            .into_iter()
            .flat_map(|strategy| SPACES.map(|space| (strategy, space)))
        {
            for loss in losses() {
                let mean = |rows: &[Vec<f64>]| {
                    let losses = expected_losses(&loss, strategy, space, rows, &labels);
                    losses.iter().sum::<f64>() / losses.len() as f64
                };
                let expected = numeric_gradient(mean, &widened(&rows), 1e-5);
                let (_, gradient, _) = mean_and_gradient(&loss, strategy, space, &rows, &labels);
                let length = dot(&expected, &expected).sqrt();
                let error = point_distance(&gradient, &expected);
                assert!(
                    error <= 1e-3 * length.max(1e-3),
                    "{classes} x {images}, {strategy:?}, {space:?}, {loss:?}: {error} of {length}"
                );
            }
        }
    }
}

#[test]
fn forward_without_reduction_returns_the_loss_of_every_anchor() {
    let (rows, labels) = batch(4, 2, 8, 3);
    let rows = tensor::<TestBackend>(&rows);
    for loss in losses() {
        let labels = Tensor::<TestBackend, 1, Int>::from_data(&labels[..], &Default::default());
        let (strategy, space) = (Negatives::Loop(LoopNegatives::PUBLISHED), Space::Euclidean);
        let comparisons = strategy.compare(rows.clone(), labels, space, loss.measure());
        let losses = loss.forward_no_reduction(comparisons.clone());
        assert_eq!(losses.dims(), [4], "{loss:?}");
        let expected = values(loss.forward(comparisons).losses);
        assert_eq!(values(losses), expected, "{loss:?}");
    }
}

#[test]
fn semi_hard_negatives_may_be_as_far_as_the_positive() {
    // Integers on a line, so that many distances are equal: too many for an unstable sort to keep
    // in order by chance.
    let mut draws = Draws::new(11);
    let rows: Rows = (0..40)
        .map(|_| vec![draws.uniform(0.0, 6.0).floor() as f32, 0.0])
        .collect();
    let labels: Vec<i64> = (0..40).map(|i| i / 4).collect();
    let config = TripletLossConfig::new().with_margin(0.3);
    let loss = Loss::Triplet(config.with_triplets(Triplets::SemiHard).init());
    let (strategy, space) = (Negatives::None, Space::Euclidean);
    let output = output(
        &loss,
        strategy,
        space,
        tensor::<TestBackend>(&rows),
        &labels,
    );
    let expected = expected_losses(&loss, strategy, space, &widened(&rows), &labels);
    for (actual, expected) in values(output.losses).iter().zip(&expected) {
        assert!(
            (actual - expected).abs() < 1e-6,
            "{actual} instead of {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_of_the_classes_does_not_matter(
        seed in any::<u64>(),
        classes in 2..6usize,
        half in 1..3usize,
        turn in 1..5usize,
    ) {
        let images = 2 * half;
        let (rows, labels) = batch(classes, images, 6, seed);
        let rows_turned = turn % classes * images;
        let turned = |all: &[Vec<f32>]| [&all[rows_turned..], &all[..rows_turned]].concat();
        let turned_labels = [&labels[rows_turned..], &labels[..rows_turned]].concat();
        for (strategy, space) in STRATEGIES.into_iter().flat_map(|strategy| SPACES.map(|space| (strategy, space))) {
            for loss in losses() {
                if depends_on_order(&loss) {
                    // The order selects the negatives.
                    continue;
                }
                let sum = |rows: &Rows, labels: &[i64]| {
                    values(output(&loss, strategy, space, tensor::<TestBackend>(rows), labels).sum())[0]
                };
                let (expected, actual) = (sum(&rows, &labels), sum(&turned(&rows), &turned_labels));
                // The order of the sums differs.
                prop_assert!(
                    (actual - expected).abs() <= 1e-5 * expected.max(1.0),
                    "{strategy:?}, {space:?}, {loss:?}: {actual} instead of {expected}"
                );
            }
        }
    }
}
