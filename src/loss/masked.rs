//! Extremes, sums and means over the valid entries of each row.

use burn::tensor::{Bool, FloatDType, Tensor, backend::Backend};

/// Returns the largest entry of each row where `mask` is true, and whether the row has such an
/// entry; a row without one has value 0 with gradient 0. Of several largest entries, one receives
/// the gradient.
///
/// # Shapes
/// - values, mask: \[A, K\]
/// - output: \[A, 1\], \[A, 1\]
pub(super) fn largest<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> (Tensor<B, 2>, Tensor<B, 2, Bool>) {
    let any = mask.clone().any_dim(1);
    let largest = values.mask_fill(mask.bool_not(), f32::MIN).max_dim(1);
    (largest.mask_fill(any.clone().bool_not(), 0.0), any)
}

/// Returns the smallest entry of each row where `mask` is true, and whether the row has such an
/// entry; otherwise as [`largest`].
pub(super) fn smallest<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> (Tensor<B, 2>, Tensor<B, 2, Bool>) {
    let any = mask.clone().any_dim(1);
    let smallest = values.mask_fill(mask.bool_not(), f32::MAX).min_dim(1);
    (smallest.mask_fill(any.clone().bool_not(), 0.0), any)
}

/// Returns the sum of the entries of each row where `mask` is true.
///
/// # Shapes
/// - values, mask: \[A, K\]
/// - output: \[A, 1\]
pub(super) fn sum<B: Backend>(values: Tensor<B, 2>, mask: Tensor<B, 2, Bool>) -> Tensor<B, 2> {
    values.mask_fill(mask.bool_not(), 0.0).sum_dim(1)
}

/// Returns the number of true entries of each row, \[A, 1\], in the float type of `like`.
pub(super) fn count<B: Backend>(mask: Tensor<B, 2, Bool>, like: &Tensor<B, 2>) -> Tensor<B, 2> {
    let dtype: FloatDType = like.dtype().into();
    mask.float().cast(dtype).sum_dim(1)
}

/// Returns the mean of the entries of each row where `mask` is true, \[A, 1\]; 0 for a row without
/// such entries.
pub(super) fn mean<B: Backend>(values: Tensor<B, 2>, mask: Tensor<B, 2, Bool>) -> Tensor<B, 2> {
    let entries = count(mask.clone(), &values).clamp_min(1.0);
    sum(values, mask) / entries
}

/// Returns log Σ exp over the entries of each row where `mask` is true, \[A, 1\], without overflow;
/// [`LOG_OF_EMPTY_SUM`] with gradient 0 for a row without such entries.
pub(super) fn log_sum_exp<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> Tensor<B, 2> {
    let (shift, any) = largest(values.clone().detach(), mask.clone());
    let empty = any.bool_not();
    let summed = sum((values - shift.clone()).clamp_max(0.0).exp(), mask);
    (summed.mask_fill(empty.clone(), 1.0).log() + shift).mask_fill(empty, LOG_OF_EMPTY_SUM)
}

/// [`log_sum_exp`] of a row without valid entries. Its exponential is 0, and sums with it are finite.
pub(super) const LOG_OF_EMPTY_SUM: f32 = -1e30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;

    #[test]
    fn log_sum_exp_does_not_overflow_and_ignores_masked_entries() {
        let rows = vec![vec![200.0, 199.0, 9e9], vec![1.0, 2.0, 3.0]];
        let mask = [[true, true, false], [false, false, false]];
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let mask = Tensor::from_data(mask, &Default::default());
        let sums = log_sum_exp(leaf.clone(), mask);
        let expected = 200.0 + f64::ln(1.0 + f64::exp(-1.0));
        let actual = values(sums.clone());
        assert!((actual[0] - expected).abs() < 1e-4);
        assert_eq!(actual[1], f64::from(LOG_OF_EMPTY_SUM));
        let gradient = values(leaf.grad(&sums.sum().backward()).unwrap());
        assert!((gradient[0] - 1.0 / (1.0 + f64::exp(-1.0))).abs() < 1e-5);
        assert_eq!(gradient[2..], [0.0; 4]);
    }
}
