//! Every loss with every way of looking for negatives, against the [oracle](super::oracle).

use burn::tensor::{Int, Tensor, backend::Backend};
use proptest::prelude::*;

use super::oracle;
use super::*;
use crate::geometry::oracle::*;
use crate::geometry::test_batches::{Draws, Kind};
use crate::model::unit_length;
use crate::negatives::{Negatives, Space};

const WAYS: [Negatives; 4] = [
    Negatives::None,
    Negatives::EmbeddingExpansion { points: 2 },
    Negatives::EmbeddingExpansion { points: 3 },
    Negatives::Loop,
];

const SPACES: [Space; 2] = [Space::Sphere, Space::Euclidean];

fn losses() -> Vec<Loss> {
    let triplets = [
        Triplets::Hardest,
        Triplets::SemiHard,
        Triplets::All,
        Triplets::Drawn,
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
    let n_pair = NPairLossConfig::new();
    let penalised = n_pair.with_l2_penalty(0.02);
    losses.extend([n_pair, penalised].map(|config| Loss::NPair(config.init())));
    losses.extend(
        [
            MultiSimilarityDefaults::Loop,
            MultiSimilarityDefaults::Paper,
        ]
        .map(MultiSimilarityLossConfig::of)
        .map(|config| Loss::MultiSimilarity(config.init())),
    );
    losses
}

/// P classes of K images that scatter around centres of their own, of different lengths.
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
    way: Negatives,
    space: Space,
    rows: Tensor<B, 2>,
    labels: &[i64],
) -> LossOutput<B> {
    let labels = Tensor::<B, 1, Int>::from_data(labels, &Default::default());
    let rows = match space {
        Space::Sphere => unit_length(rows),
        Space::Euclidean => rows,
    };
    loss.forward(way.compare(rows, labels, space, loss.measure()))
}

fn statistics<B: Backend>(output: &LossOutput<B>) -> LossStatistics {
    LossStatistics::from_data(output.statistics().into_data()).unwrap()
}

/// The mean loss, its gradient and the statistics.
fn mean_and_gradient(
    loss: &Loss,
    way: Negatives,
    space: Space,
    rows: &Rows,
    labels: &[i64],
) -> (f64, Vec<f64>, LossStatistics) {
    let leaf = tensor::<TestAutodiff>(rows).require_grad();
    let output = output(loss, way, space, leaf.clone(), labels);
    let mean = output.mean();
    let gradient = leaf.grad(&mean.clone().backward()).unwrap();
    (values(mean)[0], values(gradient), statistics(&output))
}

/// The loss of every counted anchor by the oracle, from rows of any length.
fn expected_losses(
    loss: &Loss,
    way: Negatives,
    space: Space,
    rows: &[Vec<f64>],
    labels: &[i64],
) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = match space {
        Space::Sphere => rows.iter().map(|row| unit(row)).collect(),
        Space::Euclidean => rows.to_vec(),
    };
    let anchors = oracle::anchors(way, &rows, labels, space, loss.measure());
    (0..anchors.len())
        .filter(|&i| anchors[i].is_counted())
        .map(|i| oracle::loss(loss, &anchors, i))
        .collect()
}

/// Whether the loss compares with a negative that the order of the batch decides on.
fn drawn(loss: &Loss) -> bool {
    matches!(loss, Loss::Triplet(loss) if loss.triplets == Triplets::Drawn)
}

/// The mean hardest positive and the mean hardest negative of the counted anchors.
fn expected_means(
    loss: &Loss,
    way: Negatives,
    space: Space,
    rows: &[Vec<f64>],
    labels: &[i64],
) -> (f64, f64) {
    let rows: Vec<Vec<f64>> = match space {
        Space::Sphere => rows.iter().map(|row| unit(row)).collect(),
        Space::Euclidean => rows.to_vec(),
    };
    let anchors = oracle::anchors(way, &rows, labels, space, loss.measure());
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

/// What an anchor of a full batch is compared with, itself included: images, or under LoOp the pairs
/// of other classes, its positive and itself.
fn values_of(way: Negatives, labels: &[i64]) -> usize {
    let of_class = labels.iter().filter(|&label| *label == labels[0]).count();
    match way {
        Negatives::Loop => (labels.len() - of_class) / 2 + 2,
        _ => labels.len(),
    }
}

#[test]
fn losses_and_statistics_agree_with_the_formulas() {
    for (classes, images, dim) in [(8, 2, 8), (4, 4, 16), (2, 6, 5), (6, 2, 64)] {
        let (rows, labels) = batch(classes, images, dim, 3);
        for (way, space) in WAYS
            .into_iter()
            .flat_map(|way| SPACES.map(|space| (way, space)))
        {
            for loss in losses() {
                let case = format!("{classes} x {images} x {dim}, {way:?}, {space:?}, {loss:?}");
                let output = output(&loss, way, space, tensor::<TestBackend>(&rows), &labels);
                let expected = expected_losses(&loss, way, space, &widened(&rows), &labels);
                let actual = values(output.losses.clone());
                assert_eq!(actual.len(), expected.len(), "{case}");
                // Of the largest: a hinge near 0 is a difference of numbers near 1.
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
                // Within rounding of the hinge a loss may count or not.
                let active = |least: f64| expected.iter().filter(|&&loss| loss > least).count();
                assert!(
                    (active(1e-6)..=active(-1e-6)).contains(&statistics.active),
                    "{case}: {} active, {} expected",
                    statistics.active,
                    active(0.0)
                );
                assert_eq!(statistics.mined > 0, statistics.active > 0, "{case}");
                if !drawn(&loss) {
                    let (positive, negative) =
                        expected_means(&loss, way, space, &widened(&rows), &labels);
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
                    Loss::NPair(_) => actual.len() * (values_of(way, &labels) - 1),
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
        for (way, space) in WAYS
            .into_iter()
            .flat_map(|way| SPACES.map(|space| (way, space)))
        {
            for loss in losses() {
                let mean = |rows: &[Vec<f64>]| {
                    let losses = expected_losses(&loss, way, space, rows, &labels);
                    losses.iter().sum::<f64>() / losses.len() as f64
                };
                let expected = numeric_gradient(mean, &widened(&rows), 1e-5);
                let (_, gradient, _) = mean_and_gradient(&loss, way, space, &rows, &labels);
                let length = dot(&expected, &expected).sqrt();
                let error = point_distance(&gradient, &expected);
                assert!(
                    error <= 1e-3 * length.max(1e-3),
                    "{classes} x {images}, {way:?}, {space:?}, {loss:?}: {error} of {length}"
                );
            }
        }
    }
}

/// Nothing is counted, the mean is 0 and so is its gradient.
fn assert_no_anchor(rows: &Rows, labels: &[i64]) {
    for (way, space) in WAYS
        .into_iter()
        .flat_map(|way| SPACES.map(|space| (way, space)))
    {
        for loss in losses() {
            let (mean, gradient, statistics) = mean_and_gradient(&loss, way, space, rows, labels);
            let LossStatistics {
                anchors,
                active,
                mined,
                ..
            } = statistics;
            assert_eq!(
                (mean, anchors, active, mined),
                (0.0, 0, 0, 0),
                "{way:?}, {loss:?}"
            );
            assert_eq!(
                (statistics.mean_positive, statistics.mean_negative),
                (0.0, 0.0),
                "{way:?}, {loss:?}"
            );
            assert!(
                gradient.iter().all(|&x| x == 0.0),
                "{way:?}, {space:?}, {loss:?}: {gradient:?}"
            );
        }
    }
}

#[test]
fn batch_of_one_class_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(3, 8, 1), &[4; 6]);
}

#[test]
fn batch_of_single_images_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(3, 8, 1), &[0, 1, 2, 3, 4, 5]);
}

#[test]
fn batch_of_one_pair_has_no_anchor() {
    assert_no_anchor(&Kind::Random.rows(1, 8, 1), &[0, 0]);
}

#[test]
fn anchor_without_positive_is_not_counted() {
    let rows = Kind::Random.rows(2, 8, 1);
    let rows = tensor::<TestBackend>(&rows);
    for loss in losses() {
        let output = output(
            &loss,
            Negatives::None,
            Space::Sphere,
            rows.clone(),
            &[0, 0, 1, 2],
        );
        let counted: Vec<bool> = output.counted.into_data().iter::<bool>().collect();
        assert_eq!(counted, [true, true, false, false], "{loss:?}");
        assert_eq!(values(output.losses)[2..], [0.0, 0.0], "{loss:?}");
    }
}

#[test]
fn gradients_are_finite_for_batches_of_every_kind() {
    let labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
    for kind in Kind::ALL {
        let rows = kind.rows(8, 16, 4);
        for (way, space) in WAYS
            .into_iter()
            .flat_map(|way| SPACES.map(|space| (way, space)))
        {
            for loss in losses() {
                let (mean, gradient, _) = mean_and_gradient(&loss, way, space, &rows, &labels);
                let case = format!("{kind:?}, {way:?}, {space:?}, {loss:?}");
                assert!(mean.is_finite(), "{case}: {mean}");
                assert!(gradient.iter().all(|x| x.is_finite()), "{case}");
            }
        }
    }
}

#[test]
fn large_embeddings_neither_overflow_nor_lose_their_gradient() {
    let rows: Rows = Kind::Random
        .rows(4, 8, 6)
        .into_iter()
        .map(|row| row.into_iter().map(|x| 300.0 * x).collect())
        .collect();
    for way in WAYS {
        for loss in losses() {
            let labels = [0, 0, 1, 1, 2, 2, 3, 3];
            let (mean, gradient, _) =
                mean_and_gradient(&loss, way, Space::Euclidean, &rows, &labels);
            assert!(mean.is_finite(), "{way:?}, {loss:?}: {mean}");
            assert!(gradient.iter().all(|x| x.is_finite()), "{way:?}, {loss:?}");
        }
    }
}

#[test]
fn identical_images_of_all_classes_cost_the_margin_with_gradient_zero() {
    let rows = vec![Kind::Random.rows(1, 64, 1)[0].clone(); 4];
    let loss = Loss::HphnTriplet(HphnTripletLossConfig::new().with_margin(0.2).init());
    for way in WAYS {
        for space in SPACES {
            let labels = [0, 0, 1, 1];
            let (mean, gradient, statistics) = mean_and_gradient(&loss, way, space, &rows, &labels);
            assert!((mean - 0.2).abs() < 1e-6);
            assert_eq!(statistics.active, statistics.anchors);
            assert!(gradient.iter().all(|&x| x == 0.0), "{way:?}, {space:?}");
        }
    }
}

#[test]
#[should_panic(expected = "different measures")]
fn comparisons_of_another_measure_are_refused() {
    let rows = tensor::<TestBackend>(&Kind::Random.rows(2, 8, 1));
    let labels = Tensor::from_data([0, 0, 1, 1], &Default::default());
    let comparisons = Negatives::None.compare(rows, labels, Space::Sphere, Measure::Distance);
    NPairLossConfig::new().init().forward(comparisons);
}

#[test]
fn semi_hard_negatives_may_be_as_far_as_the_positive() {
    // Whole numbers on a line, so that many distances are equal, and more of them than an unstable
    // sort keeps in order by chance.
    let mut draws = Draws::new(11);
    let rows: Rows = (0..40)
        .map(|_| vec![draws.uniform(0.0, 6.0).floor() as f32, 0.0])
        .collect();
    let labels: Vec<i64> = (0..40).map(|i| i / 4).collect();
    let config = TripletLossConfig::new().with_margin(0.3);
    let loss = Loss::Triplet(config.with_triplets(Triplets::SemiHard).init());
    let (way, space) = (Negatives::None, Space::Euclidean);
    let output = output(&loss, way, space, tensor::<TestBackend>(&rows), &labels);
    let expected = expected_losses(&loss, way, space, &widened(&rows), &labels);
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
        for (way, space) in WAYS.into_iter().flat_map(|way| SPACES.map(|space| (way, space))) {
            for loss in losses() {
                if drawn(&loss) {
                    // The order is the draw.
                    continue;
                }
                let sum = |rows: &Rows, labels: &[i64]| {
                    values(output(&loss, way, space, tensor::<TestBackend>(rows), labels).sum())[0]
                };
                let (expected, actual) = (sum(&rows, &labels), sum(&turned(&rows), &turned_labels));
                // Sums in another order.
                prop_assert!(
                    (actual - expected).abs() <= 1e-5 * expected.max(1.0),
                    "{way:?}, {space:?}, {loss:?}: {actual} instead of {expected}"
                );
            }
        }
    }
}
