//! Closest points of arcs and segments: values and gradients compared with those in `f64` on the host.

use burn::backend::Autodiff;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{DType, Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::geometry::{Measure, arc_approach, segment_distances};

use crate::data::Draws;
use crate::{Findings, full, relative_error, values};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Approach {
    ArcDistance,
    ArcProduct,
    SegmentDistance,
}

impl Approach {
    fn compute<AB: AutodiffBackend>(self, rows: Tensor<AB, 2>) -> Tensor<AB, 2> {
        match self {
            Self::ArcDistance => arc_approach(rows, Measure::Distance),
            Self::ArcProduct => arc_approach(rows, Measure::InnerProduct),
            Self::SegmentDistance => segment_distances(rows),
        }
    }
}

/// Curves by their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// In all directions.
    Random,
    /// Near each other, far from those of other curves.
    Clustered,
    /// All near one another.
    Collapsed,
    /// Equal: the curve is a point.
    Equal,
    /// Opposite: an arc consists of its ends; all segments cross.
    Opposite,
    /// All of these, and rows of zeros.
    Mixed,
}

const ENDS: [Ends; 6] = [
    Ends::Random,
    Ends::Clustered,
    Ends::Collapsed,
    Ends::Equal,
    Ends::Opposite,
    Ends::Mixed,
];

/// Numbers of curves, which are one, even, odd, powers of two, and more than a cube of a kernel has units, and of
/// dimensions. A software driver takes seconds to tune a matrix product for each.
fn sizes() -> Vec<(usize, usize)> {
    if full() {
        let pairs = [1, 2, 3, 4, 5, 8, 31, 64, 300];
        return pairs
            .into_iter()
            .flat_map(|pairs| [1, 2, 3, 24, 512].map(|dim| (pairs, dim)))
            .collect();
    }
    vec![(1, 3), (2, 3), (5, 1), (4, 24), (31, 64), (300, 24)]
}

/// Rows 2i and 2i + 1 are the ends of curve i, of different lengths.
fn rows(ends: Ends, pairs: usize, dim: usize) -> Vec<f32> {
    let mut draws = Draws::new(12);
    let common = draws.normals(dim);
    let mut rows = Vec::new();
    for pair in 0..pairs {
        let first = draws.normals(dim);
        let second = draws.normals(dim);
        let near = |centre: &[f32], by: &[f32], factor: f32| -> Vec<f32> {
            let sums = centre.iter().zip(by).map(|(c, b)| c + factor * b);
            sums.collect()
        };
        let ends = match (ends, pair % 7) {
            (Ends::Mixed, 0) => Ends::Equal,
            (Ends::Mixed, 1) => Ends::Opposite,
            (Ends::Mixed, 2) => Ends::Collapsed,
            (Ends::Mixed, 3) => Ends::Random,
            (Ends::Mixed, 4) => {
                rows.extend(first);
                rows.extend(vec![0.0; dim]);
                continue;
            }
            (Ends::Mixed, 5) => {
                rows.extend(vec![0.0; 2 * dim]);
                continue;
            }
            (Ends::Mixed, _) => Ends::Clustered,
            (ends, _) => ends,
        };
        let (first, second) = match ends {
            Ends::Random | Ends::Mixed => (first, second),
            Ends::Clustered => (first.clone(), near(&first, &second, 0.3)),
            Ends::Collapsed => (near(&common, &first, 0.02), near(&common, &second, 0.02)),
            Ends::Equal => (first.clone(), first),
            Ends::Opposite => (first.clone(), first.iter().map(|x| -x).collect()),
        };
        rows.extend(first);
        rows.extend(second);
    }
    rows
}

/// The approaches `[P, P]` and the gradient of their sum with these weights.
fn computed<AB: AutodiffBackend>(
    rows: &[f32],
    dim: usize,
    dtype: DType,
    approach: Approach,
    weights: impl Fn(&[f64]) -> Vec<f32>,
) -> (Vec<f64>, Vec<f64>) {
    let device = Default::default();
    let rows = TensorData::new(rows.to_vec(), [rows.len() / dim, dim]).convert_dtype(dtype);
    let leaf = Tensor::<AB, 2>::from_data(rows, (&device, dtype)).require_grad();
    let approach = approach.compute(leaf.clone());
    let found = values(approach.clone());
    let weights = TensorData::new(weights(&found), approach.dims()).convert_dtype(dtype);
    let weights = Tensor::<AB, 2>::from_data(weights, (&device, dtype));
    let gradients = (approach * weights).sum().backward();
    (found, values(leaf.grad(&gradients).expect("a gradient")))
}

fn compare<AB: AutodiffBackend>(approach: Approach) -> Findings {
    let mut findings = Findings::default();
    for (pairs, dim) in sizes() {
        for ends in ENDS {
            let rows = rows(ends, pairs, dim);
            let mut draws = Draws::new(13);
            let factors = draws.normals(pairs * pairs);
            let squares = rows.chunks(dim).map(|row| row.iter().map(|x| x * x).sum());
            let length = match approach {
                Approach::SegmentDistance => f64::from(squares.fold(0.0, f32::max).sqrt()),
                _ => 1.0,
            };
            // A curve touches itself. Without `f64`, an error of 1e-6 in the square is an error of 1e-3 in a distance
            // near 0, and the direction of the gradient is noise.
            let touches = |value: f64| match approach {
                Approach::ArcProduct => value > 1.0 - 2e-4,
                _ => value < 0.02 * length,
            };
            // The middle and the half difference of a unit vector and a zero are not orthogonal.
            let is_arc = approach != Approach::SegmentDistance;
            let of_zero = |pair: usize| is_arc && ends == Ends::Mixed && pair % 7 == 4;
            let defined = |i: usize| !of_zero(i / pairs) && !of_zero(i % pairs);
            let weights = |found: &[f64]| -> Vec<f32> {
                let used =
                    |i: usize| !i.is_multiple_of(pairs + 1) && defined(i) && !touches(found[i]);
                let weight = |(i, &factor)| if used(i) { factor } else { 0.0 };
                factors.iter().enumerate().map(weight).collect()
            };
            let (expected, gradient) =
                computed::<Autodiff<Cpu>>(&rows, dim, DType::F64, approach, weights);
            let same_weights = |_: &[f64]| weights(&expected);
            let (found, found_gradient) =
                computed::<AB>(&rows, dim, DType::F32, approach, same_weights);
            let what = || format!("{ends:?}, {pairs} curves in {dim} dimensions");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let tolerance = match (approach, touches(*expected)) {
                    (Approach::ArcProduct, _) => 2e-6,
                    (_, true) => 2e-3 * length,
                    (_, false) => 2e-5 * length,
                };
                let right = match defined(i) {
                    true => (found - expected).abs() <= tolerance,
                    false => found.is_finite(),
                };
                findings.check(right, || {
                    format!("{}: entry {i} is {found}, not {expected}", what())
                });
            }
            findings.check(found_gradient.iter().all(|x| x.is_finite()), || {
                format!("{}: the gradient is not finite", what())
            });
            // Curves in one plane have closest points that rounding chooses.
            if dim >= 3 {
                let error = relative_error(&found_gradient, &gradient, 1e-6);
                findings.check(error <= 1e-3, || {
                    format!("{}: the gradient is off by {error:.1e}", what())
                });
            }
        }
    }
    findings
}

/// A NaN reaches every entry of its arc, and only these. Rows of segments have a common scale.
fn not_a_number<AB: AutodiffBackend>() -> Findings {
    const PAIRS: usize = 4;
    const DIM: usize = 24;
    let mut findings = Findings::default();
    for approach in [Approach::ArcDistance, Approach::ArcProduct] {
        let mut rows = rows(Ends::Random, PAIRS, DIM);
        // In the second end of arc 3.
        rows[7 * DIM + 2] = f32::NAN;
        let ones = |found: &[f64]| vec![1.0; found.len()];
        let (found, gradient) = computed::<AB>(&rows, DIM, DType::F32, approach, ones);
        for (entry, value) in found.into_iter().enumerate() {
            let of_arc = entry / PAIRS == 3 || entry % PAIRS == 3;
            findings.check(value.is_nan() == of_arc, || {
                format!("{approach:?}: entry {entry} is {value}")
            });
        }
        let of_arc = gradient[6 * DIM..8 * DIM].iter().any(|x| x.is_nan());
        findings.check(of_arc, || format!("{approach:?}: the gradient is a number"));
    }
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    let mut add = |name: &str, test: fn() -> Findings| {
        let name = format!("{backend}::curves::{name}");
        trials.push(Trial::test(name, move || test().result()));
    };
    add("arc_distances", || compare::<AB>(Approach::ArcDistance));
    add("arc_products", || compare::<AB>(Approach::ArcProduct));
    add("segment_distances", || {
        compare::<AB>(Approach::SegmentDistance)
    });
    add("not_a_number", not_a_number::<AB>);
}
