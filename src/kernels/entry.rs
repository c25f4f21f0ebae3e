//! Numbers of matrices, wherever they are in memory.

use cubecl::prelude::*;

/// The number of a row and a column.
#[cube]
pub(super) fn entry(matrix: &Tensor<f32>, row: usize, column: usize) -> f32 {
    matrix[row * matrix.stride(0) + column * matrix.stride(1)]
}
