//! Inner products of the rows of matrices, and squared distances from them without cancellation.
//!
//! **Why not one matrix product.** In `f32`, 2 − 2 x·y of unit vectors is accurate to 1e-7, so a distance
//! near 0 is accurate to 3e-4. On NVIDIA GPUs, accelerated products of `f32` matrices round every factor to
//! the 11 significant bits of TF32, and a distance near 0 has an error of 0.04. On devices without
//! `f64`, rows are therefore split into parts that are exact in 11 bits, and products of different
//! orders of magnitude are separate (the error-free transformation of Ozaki et al., Numerical
//! Algorithms 2012):
//!
//! ```text
//! 2¹¹ x = h + 2⁻¹² m + 2⁻²⁴ l,   h, m integers up to 2¹¹,   |l| ≤ ½
//! 2²² x·y = hh + 2⁻¹² (hm + mh) + 2⁻²⁴ (mm + hl + lh)
//! ```
//!
//! By the Cauchy–Schwarz inequality every partial sum of hh is below 2²⁴ and exact in `f32`. A linear
//! expression such as |x|² + |y|² − 2 x·y is computed for each level separately before the levels are
//! added, so that equal terms cancel exactly.
//!
//! **Gradient.** The gradient of a row through its products with all rows y is G y, where G is the
//! gradient of the products. A device with `bf16` may use TF32, so G is split too: a conversion to
//! `bf16` and back rounds the gradient in the backward pass, and differences of such conversions split
//! it into three parts of 8 bits ([`live_products`]). Where kernels of this project run, G y is a product by
//! threads, which do not round ([`with_row_gradient`]).

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};

use super::diagonal::diagonal;
use super::transpose::transpose;
use crate::kernels::frames::with_row_gradient;
use crate::kernels::{matmul, matmul_tf32};

/// 2¹¹: integers up to this one are exact in the 11 significant bits of TF32.
const UNIT: f64 = 2048.0;

/// 2⁻¹²: the ratio of the units of two consecutive parts. A rest is at most ½.
const NEXT: f64 = 1.0 / 4096.0;

/// Rows as sums of parts, each \[N, D\]: one part in `f64`; h, m and l in `f32`.
#[derive(Debug, Clone)]
pub(crate) struct SplitRows<B: Backend> {
    parts: Vec<Tensor<B, 2>>,
    /// The factor that scaled the rows to a length of at most 1, \[1, 1\]; `None` for rows that were not
    /// scaled.
    scale: Option<Tensor<B, 2>>,
}

impl<B: Backend> SplitRows<B> {
    /// Splits rows with a length of at most 1, without gradient.
    pub(crate) fn from_unit(rows: Tensor<B, 2>) -> Self {
        Self {
            parts: split(rows.detach()),
            scale: None,
        }
    }

    /// Splits rows of any length, without gradient. Without `f64`, products are accurate relative to the
    /// longest row: products of rows shorter by a factor of 2⁻²⁴ vanish.
    pub(crate) fn from_rows(rows: Tensor<B, 2>) -> Self {
        Self::from_rows_up_to(rows, 1.0)
    }

    /// [`from_rows`](Self::from_rows), with the longest row scaled to `length` (at most 1, a power of 2), so that sums
    /// of 1/`length` products are as exact as a product.
    pub(crate) fn from_rows_up_to(rows: Tensor<B, 2>, length: f64) -> Self {
        let rows = rows.detach();
        if rows.dtype() == DType::F64 {
            return Self::from_unit(rows);
        }
        if rows.dims()[0] == 0 {
            return Self::from_unit(rows);
        }
        let lengths = rows.clone().square().sum_dim(1).sqrt();
        // Excludes rows that are not finite from the scale of the others.
        let finite = lengths.clone().lower_equal_elem(f32::MAX);
        let longest = lengths.mask_fill(finite.bool_not(), 0.0).max_dim(0);
        let all_zero = longest.clone().equal_elem(0.0);
        let scale = longest.mask_fill(all_zero, 1.0).recip();
        let scale = if length < 1.0 {
            scale.mul_scalar(length)
        } else {
            scale
        };
        Self {
            parts: split(rows * scale.clone()),
            scale: Some(scale),
        }
    }

    /// Applies `f`, such as a selection of rows, to every part.
    pub(crate) fn map(&self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            parts: self.parts.iter().cloned().map(f).collect(),
            scale: self.scale.clone(),
        }
    }

    /// Returns the inner products with all rows of `other`, \[N, M\]. Both must have the same scale.
    pub(crate) fn products(&self, other: &Self) -> Products<B> {
        let levels = match (&self.parts[..], &other.parts[..]) {
            ([x], [y]) => vec![multiply(x, y)],
            ([h, m, l], [h_of_y, m_of_y, l_of_y]) => vec![
                multiply(h, h_of_y),
                multiply(h, m_of_y) + multiply(m, h_of_y),
                multiply(m, m_of_y) + multiply(h, l_of_y) + multiply(l, h_of_y),
            ],
            _ => unreachable!("rows of one float type have equally many parts"),
        };
        Products {
            levels,
            scale: self.scale.clone(),
        }
    }

    /// Returns the inner products of every two rows, \[N, N\].
    fn own_products(&self) -> Products<B> {
        let both = |x: Tensor<B, 2>| x.clone() + transpose(x);
        let levels = match &self.parts[..] {
            [h, m, l] => vec![
                multiply(h, h),
                both(multiply(h, m)),
                multiply(m, m) + both(multiply(h, l)),
            ],
            _ => return self.products(self),
        };
        Products {
            levels,
            scale: self.scale.clone(),
        }
    }

    /// Returns |x|² of every row, \[N, 1\].
    pub(crate) fn squares(&self) -> Products<B> {
        let product = |x: &Tensor<B, 2>, y: &Tensor<B, 2>| (x.clone() * y.clone()).sum_dim(1);
        let levels = match &self.parts[..] {
            [h, m, l] => vec![
                product(h, h),
                product(h, m).mul_scalar(2.0),
                product(m, m) + product(h, l).mul_scalar(2.0),
            ],
            parts => vec![product(&parts[0], &parts[0])],
        };
        Products {
            levels,
            scale: self.scale.clone(),
        }
    }
}

/// Inner products as levels of decreasing magnitude.
#[derive(Debug, Clone)]
pub(crate) struct Products<B: Backend> {
    levels: Vec<Tensor<B, 2>>,
    scale: Option<Tensor<B, 2>>,
}

impl<B: Backend> Products<B> {
    /// Computes a linear expression of the inner products, for each level separately.
    pub(crate) fn linear(&self, f: impl Fn(&Tensor<B, 2>) -> Tensor<B, 2>) -> Tensor<B, 2> {
        self.combined(self.levels.iter().map(f).collect())
    }

    /// Returns a number that orders the rows y by their distance from each row x, larger for nearer
    /// rows: x·y − |y|²/2 in `f64`; minus half the squared distance in `f32`, where near rows would
    /// otherwise have equal numbers.
    ///
    /// # Shapes
    /// - self: \[N, M\]; squares of x \[N, 1\], of y \[1, M\]
    /// - output: \[N, M\]
    pub(crate) fn nearness(&self, of_x: &Self, of_y: &Self) -> Tensor<B, 2> {
        let half = |square: &Tensor<B, 2>| square.clone().div_scalar(2.0);
        if let ([xy], [yy]) = (&self.levels[..], &of_y.levels[..]) {
            return self.combined(vec![xy.clone() - half(yy)]);
        }
        let levels = self.levels.iter().zip(&of_x.levels).zip(&of_y.levels);
        let levels = levels.map(|((xy, xx), yy)| xy.clone() - half(xx) - half(yy));
        self.combined(levels.collect())
    }

    /// Returns |x|² + |y|² − 2 x·y, computed for each level separately.
    ///
    /// # Shapes
    /// - self: \[N, M\]; squares of x \[N, 1\], of y \[1, M\]
    /// - output: \[N, M\]
    pub(crate) fn squared_distances(&self, of_x: &Self, of_y: &Self) -> Tensor<B, 2> {
        let levels = self.levels.iter().zip(&of_x.levels).zip(&of_y.levels);
        let levels =
            levels.map(|((xy, xx), yy)| xx.clone() + yy.clone() - xy.clone().mul_scalar(2.0));
        self.combined(levels.collect())
    }

    /// Applies `f`, such as a selection of rows, to every level.
    pub(crate) fn map(&self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            levels: self.levels.iter().cloned().map(f).collect(),
            scale: self.scale.clone(),
        }
    }

    /// Transposes every level.
    pub(crate) fn transposed(&self) -> Self {
        self.map(transpose)
    }

    fn combined(&self, levels: Vec<Tensor<B, 2>>) -> Tensor<B, 2> {
        let split = levels.len() > 1;
        let sum = levels
            .into_iter()
            .rev()
            .reduce(|smaller, level| level + smaller.mul_scalar(NEXT))
            .expect("products have at least one level");
        let sum = if split {
            sum.div_scalar(UNIT * UNIT)
        } else {
            sum
        };
        match &self.scale {
            // Divides twice because the square of the scale may be too small for `f32`.
            Some(scale) => sum / scale.clone() / scale.clone(),
            None => sum,
        }
    }
}

/// Returns |x|² + |y|² − 2 x·y of every two rows, for one level of their inner products \[N, N\].
pub(crate) fn squared_distances<B: Backend>(products: &Tensor<B, 2>) -> Tensor<B, 2> {
    let squares = diagonal(products.clone());
    squares.clone() + transpose(squares) - products.clone().mul_scalar(2.0)
}

/// Returns the inner products of every two rows twice: without gradient, and live, with a gradient with
/// respect to the first factor only. Only the gradient of the live products is exact; computations use
/// the values of the others. `split` holds the same rows.
///
/// # Shapes
/// - rows: \[N, D\]
/// - output: \[N, N\] both
pub(crate) fn own_products<B: Backend>(
    rows: Tensor<B, 2>,
    split: &SplitRows<B>,
) -> (Products<B>, Tensor<B, 2>) {
    if split.parts.len() == 1 {
        let live = live_products(rows, split);
        // Both share one matrix product.
        let levels = vec![live.clone().detach()];
        return (
            Products {
                levels,
                scale: None,
            },
            live,
        );
    }
    let fixed = split.own_products();
    let by_kernels = with_row_gradient(fixed.levels[0].clone(), rows.clone());
    let live = by_kernels.unwrap_or_else(|| live_products(rows, split));
    (fixed, live)
}

/// Whether matrix products may be in TF32.
fn has_tf32<B: Backend>(rows: &Tensor<B, 2>) -> bool {
    B::supports_dtype(&rows.device(), DType::BF16)
}

/// The live products of [`own_products`].
fn live_products<B: Backend>(rows: Tensor<B, 2>, split: &SplitRows<B>) -> Tensor<B, 2> {
    let [h, m, l] = &split.parts[..] else {
        return matmul(rows.clone(), transpose(rows.detach()));
    };
    if !has_tf32(&rows) {
        return matmul(rows.clone(), transpose(rows.detach()));
    }
    let with = |part: &Tensor<B, 2>, unit: f64| {
        let product = matmul(rows.clone(), transpose(part.clone()));
        product.mul_scalar(unit / UNIT)
    };
    // Smaller parts of the gradient need fewer parts of the rows.
    let with_h = || with(h, 1.0);
    let with_m = || with_h() + with(m, NEXT);
    let with_l = || with_m() + with(l, NEXT * NEXT);
    // Rounds the gradient to 8 bits in the backward pass.
    let rounded = |x: Tensor<B, 2>| x.cast(FloatDType::BF16).cast(FloatDType::F32);
    // Passes the rest of the gradient that rounding removes.
    let rest = |x: Tensor<B, 2>| x.clone() - rounded(x);
    let products = rounded(with_l()) + rest(rounded(with_m())) + rest(rest(with_h()));
    match &split.scale {
        Some(scale) => products / scale.clone(),
        None => products,
    }
}

/// Returns x yᵀ.
pub(super) fn multiply<B: Backend>(x: &Tensor<B, 2>, y: &Tensor<B, 2>) -> Tensor<B, 2> {
    #[cfg(test)]
    let [x, y] = [x, y].map(super::simulated_device::to_device_precision);
    matmul_tf32(x.clone(), transpose(y.clone()))
}

/// Returns the parts of rows with a length of at most 1.
fn split<B: Backend>(rows: Tensor<B, 2>) -> Vec<Tensor<B, 2>> {
    if rows.dtype() == DType::F64 {
        return vec![rows];
    }
    let scaled = rows.mul_scalar(UNIT);
    let h = scaled.clone().round();
    let rest = (scaled - h.clone()).div_scalar(NEXT);
    let m = rest.clone().round();
    let l = rest - m.clone();
    vec![h, m, l]
}

#[cfg(test)]
mod tests;
