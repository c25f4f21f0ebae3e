//! The hinge and its soft margin.

use burn::tensor::{Tensor, activation::relu, backend::Backend};

/// max(0, x + m), or [log(1 + exp x)](softplus) with the soft margin.
pub(super) fn hinge<B: Backend>(
    excess: Tensor<B, 2>,
    margin: f64,
    soft_margin: bool,
) -> Tensor<B, 2> {
    if soft_margin {
        softplus(excess)
    } else {
        relu(excess.add_scalar(margin))
    }
}

/// log(1 + exp x), exact to the rounding of the float type for every x.
///
/// GPUs have no `log1p`: log(1 + exp x) would round to 0 far below 0, where the value is exp x.
pub(super) fn softplus<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let at = x.clone().detach();
    let small = at.clone().abs().neg().exp();
    // With w = 1 + u after rounding, log w · u/(w − 1) is log(1 + u) to the last digits (Higham,
    // Accuracy and Stability of Numerical Algorithms, section 1.14.1).
    let rounded = small.clone().add_scalar(1.0);
    let gained = rounded.clone().sub_scalar(1.0);
    let underflow = gained.clone().equal_elem(0.0);
    let log = rounded.clone().log() * small.clone() / gained.mask_fill(underflow.clone(), 1.0);
    let value = at.clone().clamp_min(0.0) + log.mask_where(underflow, small.clone());
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
