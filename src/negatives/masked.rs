//! Extremes over the valid entries of each row.

use burn::tensor::{Bool, Tensor, backend::Backend};

/// The largest of the entries of each row where `mask` is true, and whether there is one; 0 with
/// gradient 0 where there is none. Of several largest, one receives the gradient.
///
/// # Shapes
/// - values, mask: \[A, K\]
/// - output: \[A, 1\], \[A, 1\]
pub(crate) fn largest<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> (Tensor<B, 2>, Tensor<B, 2, Bool>) {
    let any = mask.clone().any_dim(1);
    let largest = values.mask_fill(mask.bool_not(), f32::MIN).max_dim(1);
    (largest.mask_fill(any.clone().bool_not(), 0.0), any)
}

/// The smallest of the entries of each row where `mask` is true, and whether there is one; as
/// [`largest`] otherwise.
pub(crate) fn smallest<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> (Tensor<B, 2>, Tensor<B, 2, Bool>) {
    let any = mask.clone().any_dim(1);
    let smallest = values.mask_fill(mask.bool_not(), f32::MAX).min_dim(1);
    (smallest.mask_fill(any.clone().bool_not(), 0.0), any)
}
