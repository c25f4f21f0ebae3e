//! Inner products of the rows of matrices, and squared distances from them without cancellation.
//!
//! **Why not one matrix product.** In `f32` alone, 2 − 2 x·y of unit vectors is known to 1e-7, so a
//! distance near 0 to 3e-4. On NVIDIA GPUs, accelerated products of `f32` matrices round every factor to
//! the 11 significant bits of TF32: then a distance near 0 is off by 0.04. So where the device has
//! no `f64`, rows are split into parts that are exact in 11 bits, and products are kept apart by
//! their order of magnitude (the error-free transformation of Ozaki et al., Numerical Algorithms
//! 2012):
//!
//! ```text
//! 2¹¹ x = h + 2⁻¹² m + 2⁻²⁴ l,   h, m integers up to 2¹¹,   |l| ≤ ½
//! 2²² x·y = hh + 2⁻¹² (hm + mh) + 2⁻²⁴ (mm + hl + lh)
//! ```
//!
//! By Cauchy and Schwarz every partial sum of hh is below 2²⁴ and so exact in `f32`. A linear
//! expression such as |x|² + |y|² − 2 x·y is taken of each level by itself before they are added:
//! what cancels, cancels exactly.
//!
//! **Gradient.** That of a row through its products with all rows y is G y, G being the gradient of
//! the products. Where the device has `bf16`, it may have TF32, and G is split too: converting to
//! `bf16` and back rounds a gradient on its way back, so that differences of such conversions leave
//! three parts of 8 bits ([`live_products`]).

use burn::tensor::{DType, FloatDType, Tensor, backend::Backend};

use super::lengths::diagonal;
use super::transpose;

/// 2¹¹: integers up to it have the 11 significant bits of TF32.
const UNIT: f64 = 2048.0;

/// 2⁻¹²: a part's unit as a multiple of that of the part before. A rest is at most ½.
const NEXT: f64 = 1.0 / 4096.0;

/// Rows as sums of parts: one part in `f64`, else h, m and l, each \[N, D\].
#[derive(Debug, Clone)]
pub(crate) struct SplitRows<B: Backend> {
    parts: Vec<Tensor<B, 2>>,
    /// What rows were multiplied by to have a length of at most 1, \[1, 1\]; none where they have.
    scale: Option<Tensor<B, 2>>,
}

impl<B: Backend> SplitRows<B> {
    /// Splits rows of a length of at most 1, without gradient.
    pub(crate) fn of_unit(rows: Tensor<B, 2>) -> Self {
        Self {
            parts: split(rows.detach()),
            scale: None,
        }
    }

    /// Splits rows of any length, without gradient. Without `f64`, products are right relative to the
    /// longest row: those of rows shorter by 2⁻²⁴ vanish.
    pub(crate) fn of(rows: Tensor<B, 2>) -> Self {
        let rows = rows.detach();
        if rows.dtype() == DType::F64 {
            return Self::of_unit(rows);
        }
        if rows.dims()[0] == 0 {
            return Self::of_unit(rows);
        }
        let lengths = rows.clone().square().sum_dim(1).sqrt();
        // A row that is not finite must not make the others so.
        let finite = lengths.clone().lower_equal_elem(f32::MAX);
        let longest = lengths.mask_fill(finite.bool_not(), 0.0).max_dim(0);
        let none = longest.clone().equal_elem(0.0);
        let scale = longest.mask_fill(none, 1.0).recip();
        Self {
            parts: split(rows * scale.clone()),
            scale: Some(scale),
        }
    }

    /// Some of the rows.
    pub(crate) fn map(&self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            parts: self.parts.iter().cloned().map(f).collect(),
            scale: self.scale.clone(),
        }
    }

    /// Inner products with all rows of `other`, which are split by one scale with these: \[N, M\].
    pub(crate) fn products(&self, other: &Self) -> Products<B> {
        let levels = match (&self.parts[..], &other.parts[..]) {
            ([x], [y]) => vec![multiply(x, y)],
            ([h, m, l], [h_of_y, m_of_y, l_of_y]) => vec![
                multiply(h, h_of_y),
                multiply(h, m_of_y) + multiply(m, h_of_y),
                multiply(m, m_of_y) + multiply(h, l_of_y) + multiply(l, h_of_y),
            ],
            _ => unreachable!("rows of one float type have as many parts"),
        };
        Products {
            levels,
            scale: self.scale.clone(),
        }
    }

    /// Inner products with themselves, \[N, N\].
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

    /// |x|² of every row in the levels of [`Products`], \[N, 1\].
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

/// Inner products by levels, the largest first.
#[derive(Debug, Clone)]
pub(crate) struct Products<B: Backend> {
    levels: Vec<Tensor<B, 2>>,
    scale: Option<Tensor<B, 2>>,
}

impl<B: Backend> Products<B> {
    /// A linear expression of the inner products, which is taken of each level by itself.
    pub(crate) fn linear(&self, f: impl Fn(&Tensor<B, 2>) -> Tensor<B, 2>) -> Tensor<B, 2> {
        self.combined(self.levels.iter().map(f).collect())
    }

    /// A number that orders the rows y by their distance from each row x, larger for nearer ones:
    /// x·y − |y|²/2 in `f64`; minus half the squared distance in `f32`, where near rows would tie.
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

    /// Some rows of every level.
    pub(crate) fn map(&self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            levels: self.levels.iter().cloned().map(f).collect(),
            scale: self.scale.clone(),
        }
    }

    /// The transpose of every level.
    pub(crate) fn transposed(&self) -> Self {
        self.map(transpose)
    }

    fn combined(&self, levels: Vec<Tensor<B, 2>>) -> Tensor<B, 2> {
        let split = levels.len() > 1;
        let sum = levels
            .into_iter()
            .rev()
            .reduce(|smaller, level| level + smaller.mul_scalar(NEXT))
            .expect("there is a level");
        let sum = if split {
            sum.div_scalar(UNIT * UNIT)
        } else {
            sum
        };
        match &self.scale {
            // One factor after the other: their product may be too small for `f32`.
            Some(scale) => sum / scale.clone() / scale.clone(),
            None => sum,
        }
    }
}

/// |x|² + |y|² − 2 x·y of every two rows, of one level of their inner products \[N, N\].
pub(crate) fn squared_distances<B: Backend>(products: &Tensor<B, 2>) -> Tensor<B, 2> {
    let squares = diagonal(products.clone());
    squares.clone() + transpose(squares) - products.clone().mul_scalar(2.0)
}

/// Inner products of every two rows: without gradient, and live, with a gradient in the row of the first
/// factor alone. The values of the live ones are not those to compute with. `split` holds the same rows.
///
/// # Shapes
/// - rows: \[N, D\]
/// - output: \[N, N\] both
pub(crate) fn own_products<B: Backend>(
    rows: Tensor<B, 2>,
    split: &SplitRows<B>,
) -> (Products<B>, Tensor<B, 2>) {
    let live = live_products(rows, split);
    let fixed = match &split.parts[..] {
        // One product serves both.
        [_] => Products {
            levels: vec![live.clone().detach()],
            scale: None,
        },
        _ => split.own_products(),
    };
    (fixed, live)
}

fn live_products<B: Backend>(rows: Tensor<B, 2>, split: &SplitRows<B>) -> Tensor<B, 2> {
    let [h, m, l] = &split.parts[..] else {
        return rows.clone().matmul(transpose(rows.detach()));
    };
    if !B::supports_dtype(&rows.device(), DType::BF16) {
        return rows.clone().matmul(transpose(rows.detach()));
    }
    let with = |part: &Tensor<B, 2>, unit: f64| {
        let product = rows.clone().matmul(transpose(part.clone()));
        product.mul_scalar(unit / UNIT)
    };
    // The smaller a part of the gradient, the fewer parts of the rows matter.
    let with_h = || with(h, 1.0);
    let with_m = || with_h() + with(m, NEXT);
    let with_l = || with_m() + with(l, NEXT * NEXT);
    // Rounds the gradient that comes back through it to 8 bits.
    let rounded = |x: Tensor<B, 2>| x.cast(FloatDType::BF16).cast(FloatDType::F32);
    // Lets pass what rounding takes off the gradient.
    let rest = |x: Tensor<B, 2>| x.clone() - rounded(x);
    let products = rounded(with_l()) + rest(rounded(with_m())) + rest(rest(with_h()));
    match &split.scale {
        Some(scale) => products / scale.clone(),
        None => products,
    }
}

/// x yᵀ.
fn multiply<B: Backend>(x: &Tensor<B, 2>, y: &Tensor<B, 2>) -> Tensor<B, 2> {
    #[cfg(test)]
    let [x, y] = [x, y].map(tests::in_the_devices_precision);
    x.clone().matmul(transpose(y.clone()))
}

/// The parts of rows of a length of at most 1.
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
pub(crate) mod tests;
