//! The diagonal of a matrix.

use burn::tensor::{Int, Tensor, backend::Backend};

/// Returns the diagonal of a square matrix as a column.
///
/// # Shapes
/// - matrix: \[N, N\]
/// - output: \[N, 1\]
pub(crate) fn diagonal<B: Backend>(matrix: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, _] = matrix.dims();
    let (all, step) = ((rows * rows) as i64, rows + 1);
    let indices = Tensor::<B, 1, Int>::arange_step(0..all, step, &matrix.device());
    matrix
        .reshape([rows * rows])
        .select(0, indices)
        .reshape([rows, 1])
}
