//! Lengths without cancellation and without infinite gradients: what points and curves share.

use burn::tensor::{DType, FloatDType, Int, Tensor, backend::Backend};

/// Lengths up to this count as zero: the rounding of unit-length `f32` embeddings. Below it the
/// direction of a difference is noise.
const NEGLIGIBLE: f64 = f32::EPSILON as f64;

/// The tensor in the widest float that its device computes in: `f64`, else `f32`.
///
/// The square of a small distance between unit vectors is a difference of numbers near 1, so a
/// rounding of 1e-7 there is an error of 3e-4 in the distance. In `f64` it is 1e-8.
///
/// Burn's fusion of operations panics at `f64` (0.21: "Unsupported precision for fusion"), whatever
/// the device says, so that backends with fusion, which are the GPUs', stay in `f32`.
pub(crate) fn widen<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    let device = tensor.device();
    let fused = B::name(&device).contains("fusion<");
    #[cfg(test)]
    let fused = fused || super::products::tests::has_no_f64();
    if !fused && B::supports_dtype(&device, DType::F64) {
        tensor.cast(FloatDType::F64)
    } else {
        tensor.cast(FloatDType::F32)
    }
}

/// √x for squared lengths x; 0 with gradient 0 where √x is [negligible](NEGLIGIBLE), where the
/// true gradient does not exist, and where rounding has left x negative.
pub(crate) fn length_of_square<B: Backend, const D: usize>(square: Tensor<B, D>) -> Tensor<B, D> {
    let negligible = square.clone().lower_equal_elem(NEGLIGIBLE * NEGLIGIBLE);
    square
        .mask_fill(negligible.clone(), 1.0)
        .sqrt()
        .mask_fill(negligible, 0.0)
}

/// 1/|x| of every row x, without gradient; 1 where |x| is [negligible](NEGLIGIBLE), which leaves a row
/// without a direction as it is.
///
/// # Shapes
/// - rows: \[N, D\]
/// - output: \[N, 1\]
pub(crate) fn reciprocal_lengths<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    let rows = rows.detach();
    let [_, dim] = rows.dims();
    let square = rows.clone() * rows.clone();
    let square = match rows.dtype() {
        // Sums along rows are six times as fast as a matrix product on a processor in `f64`.
        DType::F64 => square.matmul(Tensor::ones([dim, 1], (&rows.device(), DType::F64))),
        // Burn 0.21's fusion gets products with one column wrong (burn 5122), and they may be TF32.
        _ => square.sum_dim(1),
    };
    let negligible = square.clone().lower_equal_elem(NEGLIGIBLE * NEGLIGIBLE);
    square.mask_fill(negligible, 1.0).sqrt().recip()
}

/// The diagonal of a square matrix as a column.
///
/// # Shapes
/// - matrix: \[N, N\]
/// - output: \[N, 1\]
pub(crate) fn diagonal<B: Backend>(matrix: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, _] = matrix.dims();
    let (all, step) = ((rows * rows) as i64, rows + 1);
    let places = Tensor::<B, 1, Int>::arange_step(0..all, step, &matrix.device());
    matrix
        .reshape([rows * rows])
        .select(0, places)
        .reshape([rows, 1])
}
