//! Rows for products in `f32` whose error is bounded.

use rayon::prelude::*;

/// The unit roundoff of `f32`: the relative error of a rounded result is at most this.
const ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;

/// Rows, and the same rows moved and scaled: by their mean, since distances do not depend on it while the
/// error of products does, and to a length of at most 1, so that nothing overflows.
///
/// With a = (x − mean) · scale, the distance of two rows follows from
/// `scale² |x − y|² = |a|² + |b|² − 2 a·b`.
pub(super) struct Vectors {
    rows: Vec<f32>,
    dim: usize,
    /// The moved and scaled rows.
    moved: Vec<f32>,
    /// The length of each moved row.
    lengths: Vec<f64>,
    /// The greatest length.
    longest: f64,
    /// The square of the scale.
    squared_scale: f64,
    /// The scale of the rows that are not moved.
    row_scale: f64,
}

/// The movement of rows by a common vector, and the scale that then gives the longest one a length of at most 1.
pub(super) struct Shift {
    mean: Vec<f32>,
    /// A power of two, by which numbers are scaled without rounding.
    scale: f64,
}

impl Shift {
    /// Returns the movement of `rows` by their mean, without those that are not finite, and the lengths of the moved
    /// rows; 0 for rows that are not finite. `others` are rows to which they are compared, and are scaled too.
    pub(super) fn of(rows: &[f32], others: &[f32], dim: usize) -> Self {
        let mut shift = Self {
            mean: mean(rows, dim),
            scale: 1.0,
        };
        let longest = |rows| shift.lengths(rows).into_iter().fold(0.0, f64::max);
        let longest = f64::max(longest(rows), longest(others));
        shift.scale = to_unit(longest);
        shift
    }

    /// Returns the lengths of the moved and scaled rows; 0 for rows that are not finite.
    pub(super) fn lengths(&self, rows: &[f32]) -> Vec<f64> {
        let length = |row: &[f32]| {
            let square = |(&x, &mean): (&f32, &f32)| (f64::from(x) - f64::from(mean)).powi(2);
            let squares = row.iter().zip(&self.mean).map(square).sum::<f64>();
            match is_finite(row) {
                true => squares.sqrt() * self.scale,
                false => 0.0,
            }
        };
        rows.par_chunks(self.mean.len()).map(length).collect()
    }

    /// Returns the moved and scaled rows; zeros for rows that are not finite.
    pub(super) fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let dim = self.mean.len();
        let mut moved = vec![0.0; rows.len()];
        let pairs = moved.par_chunks_mut(dim).zip(rows.par_chunks(dim));
        pairs.for_each(|(moved, row)| {
            if is_finite(row) {
                for ((moved, &x), &mean) in moved.iter_mut().zip(row).zip(&self.mean) {
                    *moved = ((f64::from(x) - f64::from(mean)) * self.scale) as f32;
                }
            }
        });
        moved
    }

    /// Returns the factor from squared distances of rows to those of moved rows.
    pub(super) fn squared_scale(&self) -> f64 {
        self.scale * self.scale
    }
}

/// Whether every number of a row is finite.
pub(super) fn is_finite(row: &[f32]) -> bool {
    row.iter().all(|x| x.is_finite())
}

impl Vectors {
    /// Moves and scales the rows, which have `dim` numbers each. Rows that are not finite become 0.
    pub(super) fn new(rows: Vec<f32>, dim: usize) -> Self {
        let shift = Shift::of(&rows, &[], dim);
        let square = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let finite = rows.par_chunks(dim).filter(|row| is_finite(row));
        let longest_row = finite.map(square).reduce(|| 0.0, f64::max).sqrt();
        let row_scale = to_unit(longest_row);
        let lengths = shift.lengths(&rows);
        Self {
            moved: shift.apply(&rows),
            longest: lengths.iter().copied().fold(0.0, f64::max),
            squared_scale: shift.squared_scale(),
            lengths,
            rows,
            dim,
            row_scale,
        }
    }

    /// Returns the numbers of a row.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Returns the numbers of a row, as they were given.
    pub(super) fn row(&self, at: usize) -> &[f32] {
        row(&self.rows, self.dim, at)
    }

    /// Returns the numbers of `rows`, one row after the other, not moved and scaled by a power of two, so that
    /// differences of near rows are exact and the longest row has a length of at most 1.
    pub(super) fn scaled(&self, rows: &[usize]) -> Vec<f32> {
        let numbers = rows.iter().flat_map(|&row| self.row(row));
        numbers
            .map(|&x| (f64::from(x) * self.row_scale) as f32)
            .collect()
    }

    /// Whether all rows are equal.
    pub(super) fn are_equal(&self) -> bool {
        self.longest == 0.0
    }

    /// Returns the moved `rows`, one after the other.
    pub(super) fn moved(&self, rows: impl Iterator<Item = usize>) -> Vec<f32> {
        rows.flat_map(|row| &self.moved[row * self.dim..][..self.dim])
            .copied()
            .collect()
    }

    /// Returns all moved rows, one after the other.
    pub(super) fn all_moved(&self) -> &[f32] {
        &self.moved
    }

    /// Returns the factor from squared distances of rows to those of moved rows.
    pub(super) fn squared_scale(&self) -> f64 {
        self.squared_scale
    }

    /// Returns half the squared length of a moved row.
    pub(super) fn half_square(&self, row: usize) -> f64 {
        self.lengths[row] * self.lengths[row] / 2.0
    }

    /// Returns the squared distance of two rows in `f64`. It does not depend on their order.
    pub(super) fn squared_distance(&self, a: usize, b: usize) -> f64 {
        let row = |i: usize| row(&self.rows, self.dim, i);
        squared_distance(row(a), row(b))
    }

    /// Returns a·b − |b|²/2 for rows b at the squared distance `squared` from row a, in `f64`.
    pub(super) fn nearness(&self, row: usize, squared: f64) -> f64 {
        self.half_square(row) - self.squared_scale * squared / 2.0
    }

    /// Returns the length of a moved row.
    pub(super) fn length(&self, row: usize) -> f64 {
        self.lengths[row]
    }

    /// Returns a bound of the error of a·b − |b|²/2 in `f32`, where b is at most as long as `longest`, and of the
    /// rounding of a limit to which it is compared.
    pub(super) fn error(&self, row: usize, longest: f64) -> f64 {
        nearness_error(self.dim, self.lengths[row], longest)
    }
}

/// Returns a bound of the error of a·b − |b|²/2 as [`product_error`] does, and of the rounding of a limit to which it
/// is compared.
pub(super) fn nearness_error(dim: usize, own: f64, longest: f64) -> f64 {
    // Half a squared distance, rounded.
    let limit = (own + longest) * (own + longest);
    product_error(dim, own, longest) + 2.02 * ROUNDOFF * limit
}

/// Returns a bound of the error of a·b − |b|²/2 in `f32` for vectors of `dim` numbers, of which a has the length
/// `own` and b at most the length `longest`.
///
/// The product of two vectors has an error of at most D/(1 − D·u) · u · |a||b|, in whatever order it is summed
/// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), and each of its factors was
/// rounded. The half square and the difference are rounded once each.
pub(super) fn product_error(dim: usize, own: f64, longest: f64) -> f64 {
    let product = own * longest;
    let terms = dim as f64 + 4.0;
    let sum = terms / (1.0 - terms * ROUNDOFF) * product;
    let half = longest * longest / 2.0;
    // Numbers too small for `f32` have an absolute error.
    let underflow = terms * f64::from(f32::MIN_POSITIVE);
    1.01 * ROUNDOFF * (sum + half + (product + half)) + underflow
}

/// A power of two, by which numbers are scaled without rounding, that scales the length to at most 1.
fn to_unit(length: f64) -> f64 {
    match length > 0.0 {
        true => (-length.log2().ceil()).exp2(),
        false => 1.0,
    }
}

/// The mean of the finite rows, in `f32`: equal rows then differ from it by exactly 0.
fn mean(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim];
    let mut count = 0_usize;
    for row in rows.chunks(dim).filter(|row| is_finite(row)) {
        count += 1;
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += f64::from(x);
        }
    }
    sums.iter()
        .map(|sum| (sum / count.max(1) as f64) as f32)
        .collect()
}

/// Row `i` of a matrix with rows of `dim` numbers.
pub(super) fn row(rows: &[f32], dim: usize, i: usize) -> &[f32] {
    &rows[i * dim..][..dim]
}

/// The squared distance of two vectors in `f64`. It does not depend on their order.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    /// Sums that are accumulated at once.
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            let difference = f64::from(a) - f64::from(b);
            *sum += difference * difference;
        }
    }
    sums.iter().sum()
}
