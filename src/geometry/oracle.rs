//! Expected values for the tests of geometry, negatives and losses: plain `f64` loops that share no
//! formula with the code under test.

use burn::{
    backend::Autodiff,
    tensor::{Tensor, TensorData, backend::Backend},
};

pub(crate) type TestBackend = burn_flex::Flex;
pub(crate) type TestAutodiff = Autodiff<TestBackend>;

/// Rows of a batch: the input of the code under test.
pub(crate) type Rows = Vec<Vec<f32>>;

/// Converts rows to a tensor \[N, D\].
pub(crate) fn tensor<B: Backend>(rows: &Rows) -> Tensor<B, 2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(
        TensorData::new(rows.concat(), shape).convert::<B::FloatElem>(),
        &Default::default(),
    )
}

/// Returns the values of a tensor in row-major order.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().into_vec().unwrap()
}

/// Converts rows to `f64`.
pub(crate) fn widened(rows: &Rows) -> Vec<Vec<f64>> {
    let widen = |row: &Vec<f32>| row.iter().map(|&x| f64::from(x)).collect();
    rows.iter().map(widen).collect()
}

/// x·y.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// x + factor·y.
pub(super) fn plus(x: &[f64], factor: f64, y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + factor * y).collect()
}

pub(super) fn scaled(x: &[f64], factor: f64) -> Vec<f64> {
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

fn distance_of_points(p: Point, q: Point) -> f64 {
    length(&combine(1.0, p, -1.0, q))
}

/// Points along the minor arc between two directions. For antipodal ends, only the ends.
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
        let antipodal = distance_of_points(start, end.map(|x| -x)) <= f64::from(f32::EPSILON);
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

/// Returns the smallest distance between the arcs x₁x₂ and y₁y₂, by a grid over both.
pub(crate) fn arc_distance(x: [&[f64]; 2], y: [&[f64]; 2]) -> f64 {
    let [x1, x2, y1, y2] = coordinates([x[0], x[1], y[0], y[1]]);
    let (arc_x, arc_y) = (Arc::new(x1, x2), Arc::new(y1, y2));
    smallest_on_unit_interval(|lambda| {
        let p = arc_x.at(lambda);
        smallest_on_unit_interval(|mu| distance_of_points(p, arc_y.at(mu)))
    })
}

/// Returns the smallest distance between the segments x₁x₂ and y₁y₂, by a grid over both.
pub(crate) fn segment_distance(x: [&[f64]; 2], y: [&[f64]; 2]) -> f64 {
    let at = |ends: [&[f64]; 2], fraction: f64| {
        plus(&scaled(ends[0], 1.0 - fraction), fraction, ends[1])
    };
    smallest_on_unit_interval(|lambda| {
        let p = at(x, lambda);
        smallest_on_unit_interval(|mu| point_distance(&p, &at(y, mu)))
    })
}

/// Returns the smallest value of `f` between 0 and 1: the lowest local minima of a dense grid, each
/// refined on finer and finer grids.
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

/// Returns the directions of the four vectors in an orthonormal basis of their span. This keeps all
/// distances and makes the cost of a grid independent of D.
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
            // Repeated after scaling: the rounding of a small rest is a large error of its direction.
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

/// Returns the central differences of `f` in every coordinate of every row.
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

/// Returns Σ wᵢⱼ dᵢⱼ for a matrix d of the rows and [weights](weight) of both signs, and its gradient.
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

/// [`weighted_sum`] of the distances between pairs of rows.
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

/// Rotates the rows in every plane of two neighbouring axes, one plane after the other.
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

/// Returns |actual − expected| / |expected| of two vectors.
pub(crate) fn relative_error(actual: &[f64], expected: &[f64]) -> f64 {
    point_distance(actual, expected) / length(expected)
}
