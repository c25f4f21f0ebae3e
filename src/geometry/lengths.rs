//! Lengths with finite gradients.

use burn::tensor::{DType, Tensor, backend::Backend};

/// Lengths up to this one count as zero: the rounding of unit-length `f32` embeddings. The direction
/// of a shorter difference is noise.
const NEGLIGIBLE: f64 = f32::EPSILON as f64;

/// Returns √x for squared lengths x; 0 with gradient 0 if √x is [negligible](NEGLIGIBLE), where the
/// true gradient does not exist, or if rounding has made x negative.
pub(crate) fn length_of_square<B: Backend, const D: usize>(square: Tensor<B, D>) -> Tensor<B, D> {
    let negligible = square.clone().lower_equal_elem(NEGLIGIBLE * NEGLIGIBLE);
    square
        .mask_fill(negligible.clone(), 1.0)
        .sqrt()
        .mask_fill(negligible, 0.0)
}

/// Returns 1/|x| of every row x, without gradient; 1 if |x| is [negligible](NEGLIGIBLE), so that a row
/// without a direction is not changed.
///
/// # Shapes
/// - rows: \[N, D\]
/// - output: \[N, 1\]
pub(crate) fn reciprocal_lengths<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    let rows = rows.detach();
    let [_, dim] = rows.dims();
    let square = rows.clone() * rows.clone();
    let square = match rows.dtype() {
        // On a CPU in `f64`, a product with a column of ones is six times as fast as `sum_dim`.
        DType::F64 => square.matmul(Tensor::ones([dim, 1], (&rows.device(), DType::F64))),
        // Burn 0.21's fusion computes products with one column wrongly (burn 5122), and they may be
        // in TF32.
        _ => square.sum_dim(1),
    };
    let negligible = square.clone().lower_equal_elem(NEGLIGIBLE * NEGLIGIBLE);
    square.mask_fill(negligible, 1.0).sqrt().recip()
}
