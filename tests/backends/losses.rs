//! Every loss with every negatives strategy.

use burn::backend::Autodiff;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{DType, Int, Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::geometry::Measure;
use loop_dml::loss::{
    ContrastiveLossConfig, HphnTripletLossConfig, LiftedStructureLossConfig, Loss, LossStatistics,
    MultiSimilarityLossConfig, NPairLossConfig, TripletLossConfig, Triplets,
};
use loop_dml::model::unit_length;
use loop_dml::negatives::{LoopAnchors, LoopNegatives, LoopPairs, Negatives, Space};

use crate::data::{Batch, batch};
use crate::{Findings, full, relative_error, values};

/// Number of classes, images per class, and dimensions.
type Size = (usize, usize, usize);

const CLASSES: [usize; 10] = [1, 2, 3, 4, 5, 6, 8, 16, 31, 64];
const IMAGES: [usize; 3] = [2, 4, 6];
const DIMENSIONS: [usize; 7] = [1, 2, 3, 8, 24, 64, 512];

/// Returns the sizes of the batches: by default a few, even and odd, because a software driver takes
/// seconds to compile a matrix product for each shape.
fn sizes() -> Vec<Size> {
    if full() {
        let classes = CLASSES.into_iter();
        return classes
            .flat_map(|p| IMAGES.map(|k| (p, k)))
            .flat_map(|(p, k)| DIMENSIONS.map(|d| (p, k, d)))
            .collect();
    }
    vec![(1, 2, 8), (2, 2, 3), (5, 4, 1), (3, 6, 24), (16, 2, 64)]
}

/// Returns the losses with their names and default spaces. At the margins of the triplet losses about
/// half of the anchors are active.
fn losses() -> Vec<(&'static str, Loss, Space)> {
    let triplet = TripletLossConfig::new().with_margin(0.3);
    let hphn = HphnTripletLossConfig::new().with_margin(0.3);
    let soft = hphn.with_soft_margin(true);
    let mut losses = vec![
        ("triplet", Loss::Triplet(triplet.init()), Space::Sphere),
        (
            "hphn-triplet",
            Loss::HphnTriplet(hphn.init()),
            Space::Sphere,
        ),
        (
            "hphn-triplet-euclidean",
            Loss::HphnTriplet(soft.init()),
            Space::Euclidean,
        ),
        (
            "lifted-structure",
            Loss::LiftedStructure(LiftedStructureLossConfig::new().init()),
            Space::Sphere,
        ),
        (
            "n-pair",
            Loss::NPair(NPairLossConfig::new().init()),
            Space::Euclidean,
        ),
        (
            "multi-similarity",
            Loss::MultiSimilarity(MultiSimilarityLossConfig::new().init()),
            Space::Sphere,
        ),
        (
            "contrastive",
            Loss::Contrastive(ContrastiveLossConfig::new().init()),
            Space::Sphere,
        ),
    ];
    let of = |triplets| Loss::Triplet(triplet.with_triplets(triplets).init());
    losses.extend([
        ("triplet-semi-hard", of(Triplets::SemiHard), Space::Sphere),
        ("triplet-all", of(Triplets::All), Space::Sphere),
    ]);
    if full() {
        losses.push(("triplet-random", of(Triplets::Random), Space::Sphere));
    }
    losses
}

const STRATEGIES: [(&str, Negatives); 8] = [
    ("none", Negatives::None),
    (
        "embedding-expansion",
        Negatives::EmbeddingExpansion { points: 2 },
    ),
    ("loop", Negatives::Loop(LoopNegatives::PUBLISHED)),
    (
        "loop-consecutive-images",
        variant(LoopPairs::Consecutive, LoopAnchors::Images),
    ),
    (
        "loop-consecutive-points",
        variant(LoopPairs::Consecutive, LoopAnchors::Points),
    ),
    (
        "loop-all-pairs",
        variant(LoopPairs::All, LoopAnchors::Pairs),
    ),
    (
        "loop-all-images",
        variant(LoopPairs::All, LoopAnchors::Images),
    ),
    (
        "loop-all-points",
        variant(LoopPairs::All, LoopAnchors::Points),
    ),
];

const fn variant(pairs: LoopPairs, anchors: LoopAnchors) -> Negatives {
    Negatives::Loop(LoopNegatives {
        pairs,
        anchors,
        images_per_class: None,
    })
}

/// The strategy with the number of images of every class, which a training states.
fn with_images_per_class(strategy: Negatives, images: usize) -> Negatives {
    match strategy {
        Negatives::Loop(variant) => Negatives::Loop(LoopNegatives {
            images_per_class: Some(images),
            ..variant
        }),
        other => other,
    }
}

/// The results of a batch on one backend.
struct BatchResult {
    losses: Vec<f64>,
    negatives: Vec<f64>,
    statistics: LossStatistics,
    mean: f64,
    gradient: Vec<f64>,
}

/// The order in which results are read. A read ends a fused block of operations.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// The gradient first.
    Together,
    /// Each result as soon as it is computed.
    OneByOne,
}

fn computed<AB: AutodiffBackend>(
    loss: &Loss,
    (strategy, space): (Negatives, Space),
    batch: &Batch,
    dtype: DType,
    reading: Reading,
) -> BatchResult {
    let device = Default::default();
    let count = batch.labels.len();
    let data = TensorData::new(batch.rows.clone(), [count, batch.dim]);
    let leaf = Tensor::<AB, 2>::from_data(data.convert_dtype(dtype), (&device, dtype));
    let leaf = leaf.require_grad();
    let labels = TensorData::new(batch.labels.clone(), [count]);
    let labels = Tensor::<AB, 1, Int>::from_data(labels, &device);
    let rows = match space {
        Space::Sphere => unit_length(leaf.clone()),
        Space::Euclidean => leaf.clone(),
    };
    if let Reading::OneByOne = reading {
        values(rows.clone());
    }
    let output = loss.forward(strategy.compare(rows, labels, space, loss.measure()));
    let statistics = || LossStatistics::from_data(output.statistics().into_data()).unwrap();
    let gradient = |mean: Tensor<AB, 1>| values(leaf.grad(&mean.backward()).unwrap());
    match reading {
        Reading::OneByOne => BatchResult {
            losses: values(output.losses.clone()),
            negatives: values(output.negative.clone()),
            statistics: statistics(),
            mean: values(output.mean())[0],
            gradient: gradient(output.mean()),
        },
        Reading::Together => {
            let mean = output.mean();
            let gradient = gradient(mean.clone());
            BatchResult {
                gradient,
                mean: values(mean)[0],
                statistics: statistics(),
                negatives: values(output.negative.clone()),
                losses: values(output.losses.clone()),
            }
        }
    }
}

/// Compares one loss with one negatives strategy at every size.
fn compare<AB: AutodiffBackend>(loss: &Loss, strategy: Negatives, space: Space) -> Findings {
    let mut findings = Findings::default();
    for size @ (classes, images, dim) in sizes() {
        let batch = Batch {
            distances: loss.measure() == Measure::Distance,
            ..batch(classes, images, dim, 0.5, 11)
        };
        let reading = Reading::Together;
        let how = (with_images_per_class(strategy, images), space);
        let expected = computed::<Autodiff<Cpu>>(loss, how, &batch, DType::F64, reading);
        // Both orders of reading, then the first again with filled caches.
        for reading in [Reading::Together, Reading::OneByOne, Reading::Together] {
            let actual = computed::<AB>(loss, how, &batch, DType::F32, reading);
            check(&mut findings, &actual, &expected, &batch, || {
                format!("{size:?} read {reading:?}")
            });
        }
    }
    findings
}

fn check(
    findings: &mut Findings,
    actual: &BatchResult,
    expected: &BatchResult,
    batch: &Batch,
    what: impl Fn() -> String,
) {
    // The rounding of `f32` relative to the largest loss. Curves that touch, which occurs in few
    // dimensions, have distance 0; without `f64`, an error of 1e-6 in the square is an error of 1e-3 in
    // the distance.
    let scale = expected
        .losses
        .iter()
        .fold(1.0, |most: f64, x| most.max(x.abs()));
    let touching = batch.distances && expected.negatives.iter().any(|&d| d.abs() < 0.05);
    let tolerance = if touching { 2e-3 } else { 2e-5 } * scale;
    for (k, (loss, should)) in actual.losses.iter().zip(&expected.losses).enumerate() {
        findings.check((loss - should).abs() <= tolerance, || {
            format!("{}: loss of anchor {k} is {loss}, not {should}", what())
        });
    }
    for (k, (found, should)) in actual.negatives.iter().zip(&expected.negatives).enumerate() {
        findings.check(
            (found - should).abs() <= tolerance * should.abs().max(1.0),
            || {
                format!(
                    "{}: hardest negative of anchor {k} is {found}, not {should}",
                    what()
                )
            },
        );
    }
    let lengths = (actual.losses.len(), expected.losses.len());
    findings.check(lengths.0 == lengths.1, || {
        format!("{}: {lengths:?} losses", what())
    });
    let (mean, should) = (actual.mean, expected.mean);
    findings.check((mean - should).abs() <= tolerance, || {
        format!("{}: mean {mean}, not {should}", what())
    });
    let (found, should) = (&actual.statistics, &expected.statistics);
    let counts = |of: &LossStatistics| (of.anchors, of.active, of.mined);
    // A loss within rounding of the hinge may or may not be active.
    let undecided = expected
        .losses
        .iter()
        .any(|x| x.abs() < tolerance && *x != 0.0);
    findings.check(found.anchors == should.anchors, || {
        format!(
            "{}: {} anchors, not {}",
            what(),
            found.anchors,
            should.anchors
        )
    });
    findings.check(
        undecided || touching || counts(found) == counts(should),
        || {
            let counts = (counts(found), counts(should));
            format!(
                "{}: anchors, active, mined {:?}, not {:?}",
                what(),
                counts.0,
                counts.1
            )
        },
    );
    findings.check(actual.gradient.iter().all(|x| x.is_finite()), || {
        format!("{}: the gradient is not finite", what())
    });
    // Rows on a circle or in two points have equal distances, any of which may receive the gradient.
    // Curves that touch have no gradient to compare.
    if touching || batch.dim < 3 {
        return;
    }
    let error = relative_error(&actual.gradient, &expected.gradient, 1e-6);
    findings.check(error <= 1e-3, || {
        format!("{}: the gradient is off by {error:.1e}", what())
    });
}

/// The number of [`STRATEGIES`] that are compared with every loss. The variants of LoOp give every loss the same kinds
/// of comparisons, so that one of arcs, one of segments and one of inner products are enough.
const WITH_EVERY_LOSS: usize = 3;
const WITH_VARIANTS: [&str; 3] = ["hphn-triplet", "hphn-triplet-euclidean", "n-pair"];

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    for (name, loss, space) in losses() {
        let strategies = match full() || WITH_VARIANTS.contains(&name) {
            true => &STRATEGIES[..],
            false => &STRATEGIES[..WITH_EVERY_LOSS],
        };
        for &(strategy_name, strategy) in strategies {
            let name = format!("{backend}::losses::{name}::{strategy_name}");
            let loss = loss.clone();
            trials.push(Trial::test(name, move || {
                compare::<AB>(&loss, strategy, space).result()
            }));
        }
    }
}
