//! Extremes, sums and means over the valid entries of each row.

use burn::tensor::{Bool, FloatDType, Tensor, backend::Backend};

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

/// The sum of the entries of each row where `mask` is true.
///
/// # Shapes
/// - values, mask: \[A, K\]
/// - output: \[A, 1\]
pub(crate) fn sum<B: Backend>(values: Tensor<B, 2>, mask: Tensor<B, 2, Bool>) -> Tensor<B, 2> {
    values.mask_fill(mask.bool_not(), 0.0).sum_dim(1)
}

/// How many entries of each row are true, \[A, 1\], in the float type of `like`.
pub(crate) fn count<B: Backend>(mask: Tensor<B, 2, Bool>, like: &Tensor<B, 2>) -> Tensor<B, 2> {
    let dtype: FloatDType = like.dtype().into();
    mask.float().cast(dtype).sum_dim(1)
}

/// The mean of the entries of each row where `mask` is true; 0 where there is none.
pub(crate) fn mean<B: Backend>(values: Tensor<B, 2>, mask: Tensor<B, 2, Bool>) -> Tensor<B, 2> {
    let entries = count(mask.clone(), &values).clamp_min(1.0);
    sum(values, mask) / entries
}

/// log Σ exp over the entries of each row where `mask` is true, without overflow;
/// [`LOG_OF_NOTHING`] with gradient 0 where there is none.
pub(crate) fn log_sum_exp<B: Backend>(
    values: Tensor<B, 2>,
    mask: Tensor<B, 2, Bool>,
) -> Tensor<B, 2> {
    let (shift, any) = largest(values.clone().detach(), mask.clone());
    let none = any.bool_not();
    let summed = sum((values - shift.clone()).clamp_max(0.0).exp(), mask);
    (summed.mask_fill(none.clone(), 1.0).log() + shift).mask_fill(none, LOG_OF_NOTHING)
}

/// What [`log_sum_exp`] gives for no entry: its exponential is 0, and sums with it stay finite.
pub(crate) const LOG_OF_NOTHING: f32 = -1e30;

/// log(1 + exp x). GPUs have no `log1p`: far below 0 the value is exp x there too, and not the 0
/// that log(1 + exp x) is rounded to.
pub(crate) fn softplus<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let at = x.clone().detach();
    let small = at.clone().abs().neg().exp();
    // log w · u/(w − 1) is log(1 + u) to the last digits, w being 1 + u after rounding (Higham,
    // Accuracy and Stability of Numerical Algorithms, section 1.14.1).
    let rounded = small.clone().add_scalar(1.0);
    let gained = rounded.clone().sub_scalar(1.0);
    let none = gained.clone().equal_elem(0.0);
    let log = rounded.clone().log() * small.clone() / gained.mask_fill(none.clone(), 1.0);
    let value = at.clone().clamp_min(0.0) + log.mask_where(none, small.clone());
    // The derivative is 1/(1 + exp −x).
    let below = at.lower_elem(0.0);
    let slope = rounded.recip();
    let slope = slope.clone().mask_where(below, small * slope);
    value + (x.clone() - x.detach()) * slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;

    #[test]
    fn log_sum_exp_neither_overflows_nor_counts_what_is_masked() {
        let rows = vec![vec![200.0, 199.0, 9e9], vec![1.0, 2.0, 3.0]];
        let mask = [[true, true, false], [false, false, false]];
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let mask = Tensor::from_data(mask, &Default::default());
        let sums = log_sum_exp(leaf.clone(), mask);
        let expected = 200.0 + f64::ln(1.0 + f64::exp(-1.0));
        let actual = values(sums.clone());
        assert!((actual[0] - expected).abs() < 1e-4);
        assert_eq!(actual[1], f64::from(LOG_OF_NOTHING));
        let gradient = values(leaf.grad(&sums.sum().backward()).unwrap());
        assert!((gradient[0] - 1.0 / (1.0 + f64::exp(-1.0))).abs() < 1e-5);
        assert_eq!(gradient[2..], [0.0; 4]);
    }

    #[test]
    fn softplus_is_linear_far_above_zero_and_vanishes_far_below() {
        let actual = values(softplus(tensor::<TestBackend>(&vec![vec![-1e4, 0.0, 1e4]])));
        assert_eq!((actual[0], actual[2]), (0.0, 1e4));
        assert!((actual[1] - f64::ln(2.0)).abs() < 1e-7);
    }

    #[test]
    fn softplus_and_its_gradient_keep_their_digits_where_they_are_small() {
        let points = vec![vec![-80.0, -30.0, -17.0, -3.0, -1e-3, 0.0, 2.0, 30.0]];
        let leaf = tensor::<TestAutodiff>(&points).require_grad();
        let result = softplus(leaf.clone());
        let gradient = values(leaf.grad(&result.clone().sum().backward()).unwrap());
        for (k, actual) in values(result).into_iter().enumerate() {
            let x = f64::from(points[0][k]);
            let (value, slope) = (
                x.max(0.0) + (-x.abs()).exp().ln_1p(),
                1.0 / (1.0 + (-x).exp()),
            );
            // A few roundings of `f32`.
            assert!((actual / value - 1.0).abs() < 5e-7, "{x}: {actual}");
            assert!(
                (gradient[k] / slope - 1.0).abs() < 5e-7,
                "{x}: {}",
                gradient[k]
            );
        }
    }
}
