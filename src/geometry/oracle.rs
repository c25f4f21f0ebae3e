//! What the tests of geometry, negatives and losses compare with: plain `f64` loops that share no
//! formula with the code under test, and batches of every awkward kind.

use burn::{
    backend::Autodiff,
    tensor::{Tensor, TensorData, backend::Backend},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) type TestBackend = burn_flex::Flex;
pub(crate) type TestAutodiff = Autodiff<TestBackend>;

/// Rows of a batch, as the code under test sees them.
pub(crate) type Rows = Vec<Vec<f32>>;

/// The rows as a tensor \[N, D\].
pub(crate) fn tensor<B: Backend>(rows: &Rows) -> Tensor<B, 2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(
        TensorData::new(rows.concat(), shape).convert::<B::FloatElem>(),
        &Default::default(),
    )
}

/// The values of a tensor in row-major order.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().into_vec().unwrap()
}

/// The rows in `f64`.
pub(crate) fn widened(rows: &Rows) -> Vec<Vec<f64>> {
    let widen = |row: &Vec<f32>| row.iter().map(|&x| f64::from(x)).collect();
    rows.iter().map(widen).collect()
}

/// x·y.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// x + factor·y.
fn plus(x: &[f64], factor: f64, y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + factor * y).collect()
}

fn scaled(x: &[f64], factor: f64) -> Vec<f64> {
    x.iter().map(|x| x * factor).collect()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// x/|x|.
pub(crate) fn unit(x: &[f64]) -> Vec<f64> {
    scaled(x, 1.0 / length(x))
}

/// |x − y|.
pub(crate) fn point_distance(x: &[f64], y: &[f64]) -> f64 {
    length(&plus(x, -1.0, y))
}

/// A point in the four-dimensional space that two arcs span.
type Point = [f64; 4];

fn combine(x: f64, p: Point, y: f64, q: Point) -> Point {
    std::array::from_fn(|k| x * p[k] + y * q[k])
}

fn apart(p: Point, q: Point) -> f64 {
    length(&combine(1.0, p, -1.0, q))
}

/// Points along the minor arc between two directions; of antipodal ends, only the ends.
struct Arc {
    start: Point,
    normal: Point,
    angle: f64,
    antipodal: bool,
}

impl Arc {
    fn new(start: Point, end: Point) -> Self {
        let along = combine(1.0, end, -dot(&start, &end), start);
        let sine = length(&along);
        let antipodal = apart(start, end.map(|x| -x)) <= f64::from(f32::EPSILON);
        Self {
            start,
            normal: combine(1.0 / sine.max(1e-300), along, 0.0, along),
            angle: sine.atan2(dot(&start, &end)),
            antipodal,
        }
    }

    fn at(&self, fraction: f64) -> Point {
        if self.antipodal {
            return self.start.map(|x| if fraction < 0.5 { x } else { -x });
        }
        let (sin, cos) = (fraction * self.angle).sin_cos();
        combine(cos, self.start, sin, self.normal)
    }
}

/// The smallest distance between the arcs x₁x₂ and y₁y₂: a grid over the first, whose every point
/// is compared with all of the second.
pub(crate) fn arc_distance(x: [&[f64]; 2], y: [&[f64]; 2]) -> f64 {
    let [x1, x2, y1, y2] = coordinates([x[0], x[1], y[0], y[1]]);
    let (arc_x, arc_y) = (Arc::new(x1, x2), Arc::new(y1, y2));
    smallest_on_unit_interval(|lambda| {
        let p = arc_x.at(lambda);
        smallest_on_unit_interval(|mu| apart(p, arc_y.at(mu)))
    })
}

/// The smallest distance between the segments x₁x₂ and y₁y₂, in the same way.
pub(crate) fn segment_distance(x: [&[f64]; 2], y: [&[f64]; 2]) -> f64 {
    let at = |ends: [&[f64]; 2], fraction: f64| {
        plus(&scaled(ends[0], 1.0 - fraction), fraction, ends[1])
    };
    smallest_on_unit_interval(|lambda| {
        let p = at(x, lambda);
        smallest_on_unit_interval(|mu| point_distance(&p, &at(y, mu)))
    })
}

/// The smallest value of `f` between 0 and 1: the lowest local minima of a dense grid, each refined
/// on ever finer grids.
fn smallest_on_unit_interval(f: impl Fn(f64) -> f64) -> f64 {
    const CELLS: usize = 32;
    const MOST_MINIMA: usize = 3;
    const GRIDS: usize = 28;

    let node = |k: usize| k as f64 / CELLS as f64;
    let grid: Vec<f64> = (0..=CELLS).map(|k| f(node(k))).collect();
    let mut minima: Vec<usize> = (0..=CELLS)
        .filter(|&k| grid[k] <= grid[k.saturating_sub(1)] && grid[k] <= grid[(k + 1).min(CELLS)])
        .collect();
    minima.sort_by(|&k, &l| grid[k].total_cmp(&grid[l]));
    let refined = minima.into_iter().take(MOST_MINIMA).map(|k| {
        let (mut smallest, mut fraction, mut step) = (grid[k], node(k), 0.5 * node(1));
        for _ in 0..GRIDS {
            let around = [-1.0, 1.0].map(|k| (fraction + k * step).clamp(0.0, 1.0));
            for (value, fraction_) in around.map(|fraction| (f(fraction), fraction)) {
                if value < smallest {
                    (smallest, fraction) = (value, fraction_);
                }
            }
            step *= 0.5;
        }
        smallest
    });
    refined.fold(f64::INFINITY, f64::min)
}

/// The four vectors in an orthonormal basis of the space that they span, which keeps all distances
/// and makes the grid's cost independent of D.
fn coordinates(vectors: [&[f64]; 4]) -> [Point; 4] {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for vector in vectors {
        let mut rest = unit(vector);
        for _ in 0..2 {
            for direction in &basis {
                rest = plus(&rest, -dot(&rest, direction), direction);
            }
        }
        if length(&rest) > 1e-14 {
            // Once more after scaling: the rounding of a small rest is large in its direction.
            let mut direction = unit(&rest);
            for _ in 0..2 {
                for known in &basis {
                    direction = plus(&direction, -dot(&direction, known), known);
                }
            }
            basis.push(unit(&direction));
        }
    }
    vectors.map(|vector| {
        let vector = unit(vector);
        let mut point = [0.0; 4];
        for (coordinate, direction) in point.iter_mut().zip(&basis) {
            *coordinate = dot(&vector, direction);
        }
        point
    })
}

/// The central differences of `f` in every coordinate of every row.
pub(crate) fn numeric_gradient(
    f: impl Fn(&[Vec<f64>]) -> f64,
    rows: &[Vec<f64>],
    step: f64,
) -> Vec<f64> {
    let mut rows = rows.to_vec();
    let mut gradient = Vec::new();
    for i in 0..rows.len() {
        for k in 0..rows[i].len() {
            let here = rows[i][k];
            rows[i][k] = here + step;
            let above = f(&rows);
            rows[i][k] = here - step;
            let below = f(&rows);
            rows[i][k] = here;
            gradient.push((above - below) / (2.0 * step));
        }
    }
    gradient
}

/// Σ wᵢⱼ dᵢⱼ of a matrix d of the rows with [weights](weight) of both signs, and its gradient.
pub(crate) fn weighted_sum(
    matrix: impl Fn(Tensor<TestAutodiff, 2>) -> Tensor<TestAutodiff, 2>,
    rows: &Rows,
) -> (f64, Vec<f64>) {
    let leaf = tensor::<TestAutodiff>(rows).require_grad();
    let matrix = matrix(leaf.clone());
    let [height, width] = matrix.dims();
    let weights: Vec<f32> = (0..height * width)
        .map(|k| weight(k / width, k % width) as f32)
        .collect();
    let weights = Tensor::<TestAutodiff, 1>::from_floats(&weights[..], &Default::default());
    let sum = (matrix * weights.reshape([height, width])).sum();
    let gradient = leaf.grad(&sum.backward()).unwrap();
    (sum.into_scalar().into(), values(gradient))
}

fn weight(i: usize, j: usize) -> f64 {
    if i == j {
        0.0
    } else {
        ((7 * i + 3 * j) % 5) as f64 - 1.5
    }
}

/// [`weighted_sum`] of the distances between pairs of rows, each by `distance`.
pub(crate) fn expected_sum(
    distance: impl Fn([&[f64]; 2], [&[f64]; 2]) -> f64,
    rows: &[Vec<f64>],
) -> f64 {
    let pair = |i: usize| -> [&[f64]; 2] { [&rows[2 * i], &rows[2 * i + 1]] };
    (0..rows.len() / 2)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| (weight(i, j) + weight(j, i)) * distance(pair(i), pair(j)))
        .sum()
}

/// The rows after a rotation, which turns every plane of two neighbouring axes in turn.
pub(crate) fn turned(rows: &Rows, angle: f64) -> Rows {
    let turned = |mut row: Vec<f64>| -> Vec<f32> {
        for k in 1..row.len() {
            let (x, y) = (row[k - 1], row[k]);
            row[k - 1] = angle.cos() * x - angle.sin() * y;
            row[k] = angle.sin() * x + angle.cos() * y;
        }
        row.into_iter().map(|x| x as f32).collect()
    };
    widened(rows).into_iter().map(turned).collect()
}

/// |actual − expected| / |expected| of two vectors.
pub(crate) fn relative_error(actual: &[f64], expected: &[f64]) -> f64 {
    point_distance(actual, expected) / length(expected)
}

/// Reproducible draws.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in [low, high).
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.random::<f64>()).cos()
    }

    /// A direction, uniform on the unit sphere.
    pub(crate) fn direction(&mut self, dim: usize) -> Vec<f64> {
        let normals: Vec<f64> = (0..dim).map(|_| self.normal()).collect();
        unit(&normals)
    }
}

/// Kinds of pairs whose arcs are to be compared with one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Ends anywhere on the sphere.
    Random,
    /// Ends near a centre of their own.
    Clustered,
    /// All ends within 1e-3 of one point, as in a collapsed model.
    Collapsed,
    /// All arcs run through one point.
    Crossing,
    /// Ends 1e-7 to 1e-1 apart, the arcs 1e-6 to 2 from each other.
    NearIdentical,
    /// Both ends the same.
    Identical,
    /// Ends drawn from three images only, so that arcs share ends or coincide.
    Repeated,
    /// Ends opposite to 1e-5 to 1, every second arc opposite to the one before.
    NearAntipodal,
    /// Ends exactly opposite.
    Antipodal,
    /// All arcs on one great circle.
    Coplanar,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Random,
        Self::Clustered,
        Self::Collapsed,
        Self::Crossing,
        Self::NearIdentical,
        Self::Identical,
        Self::Repeated,
        Self::NearAntipodal,
        Self::Antipodal,
        Self::Coplanar,
    ];

    /// Rows 2i and 2i + 1 are the ends of arc i, of unit length to the rounding of `f32`.
    pub(crate) fn rows(self, pairs: usize, dim: usize, seed: u64) -> Rows {
        let mut draws = Draws::new(seed);
        let centre = draws.direction(dim);
        let other = unit(&{
            let direction = draws.direction(dim);
            plus(&direction, -dot(&direction, &centre), &centre)
        });
        let pool: Vec<_> = (0..3).map(|_| draws.direction(dim)).collect();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for pair in 0..pairs {
            let start = draws.direction(dim);
            let step = draws.direction(dim);
            let ends = match self {
                Self::Random => [start, step],
                Self::Clustered => [
                    plus(&start, 0.3, &step),
                    plus(&start, 0.3, &draws.direction(dim)),
                ],
                Self::Collapsed => [plus(&centre, 1e-3, &start), plus(&centre, 1e-3, &step)],
                Self::Crossing => {
                    let (back, on) = (draws.uniform(0.0, 1.5), draws.uniform(0.0, 1.5));
                    let side = unit(&plus(&step, -dot(&step, &centre), &centre));
                    [-back, on].map(|angle| plus(&scaled(&centre, angle.cos()), angle.sin(), &side))
                }
                Self::NearIdentical => {
                    let apart = 10f64.powf(draws.uniform(-6.0, 0.0));
                    let start = unit(&plus(&centre, apart, &start));
                    let length = 10f64.powf(draws.uniform(-7.0, -1.0));
                    [start.clone(), plus(&start, length, &step)]
                }
                Self::Identical => [start.clone(), start],
                Self::Repeated => [0, 1].map(|_| pool[draws.uniform(0.0, 3.0) as usize].clone()),
                Self::NearAntipodal if pair % 2 == 1 => {
                    let before = &rows[rows.len() - 2..];
                    [scaled(&before[0], -1.0), scaled(&before[1], -1.0)]
                }
                Self::NearAntipodal => {
                    let off = 10f64.powf(draws.uniform(-5.0, 0.0));
                    [start.clone(), plus(&scaled(&start, -1.0), off, &step)]
                }
                Self::Antipodal => [start.clone(), scaled(&start, -1.0)],
                Self::Coplanar => {
                    let first = draws.uniform(0.0, 6.3);
                    [first, first + draws.uniform(0.0, 3.0)]
                        .map(|angle| plus(&scaled(&centre, angle.cos()), angle.sin(), &other))
                }
            };
            rows.extend(ends.map(|end| unit(&end)));
        }
        let narrow = |row: Vec<f64>| row.into_iter().map(|x| x as f32).collect();
        rows.into_iter().map(narrow).collect()
    }

    /// The same, drawn out to lengths of 0.3 to 3: by turns of the seed one length for all rows, one
    /// for each pair, or one for each row.
    pub(crate) fn stretched_rows(self, pairs: usize, dim: usize, seed: u64) -> Rows {
        let mut rows = self.rows(pairs, dim, seed);
        let mut draws = Draws::new(seed);
        let mut length = 1.0;
        for (k, row) in rows.iter_mut().enumerate() {
            let shared_by = [usize::MAX, 2, 1][seed as usize % 3];
            if k % shared_by == 0 {
                length = draws.uniform(0.3, 3.0) as f32;
            }
            row.iter_mut().for_each(|x| *x *= length);
        }
        rows
    }
}
