//! Losses of comparisons that are given as numbers, for the tests of the formulas.

use burn::tensor::Tensor;

use super::output::LossOutput;
use crate::geometry::Measure;
use crate::geometry::oracle::{Rows, TestAutodiff, tensor, values};
use crate::negatives::Comparisons;

/// The losses of some anchors, and the gradients of their sum.
pub(super) struct ValueAndGradients {
    /// The loss of each anchor.
    pub(super) losses: Vec<f64>,
    /// The gradient with respect to the positives, row by row.
    pub(super) of_positives: Vec<f64>,
    /// The gradient with respect to the negatives, row by row.
    pub(super) of_negatives: Vec<f64>,
}

/// Computes a loss of anchors that have one row of positives and one row of negatives each. Every
/// entry is valid; the squared length of each anchor is 1.
pub(super) fn value_and_gradients(
    measure: Measure,
    positives: &Rows,
    negatives: &Rows,
    forward: impl Fn(Comparisons<TestAutodiff>) -> LossOutput<TestAutodiff>,
) -> ValueAndGradients {
    let leaf = |rows: &Rows| tensor::<TestAutodiff>(rows).require_grad();
    let (positives, negatives) = (leaf(positives), leaf(negatives));
    let valid = |values: &Tensor<TestAutodiff, 2>| values.zeros_like().equal_elem(0.0);
    let output = forward(Comparisons {
        measure,
        positives: positives.clone(),
        positive_mask: valid(&positives),
        negatives: negatives.clone(),
        negative_mask: valid(&negatives),
        squared_lengths: Tensor::ones([positives.dims()[0], 1], &positives.device()),
    });
    let gradients = output.sum().backward();
    let gradient = |leaf: Tensor<TestAutodiff, 2>| values(leaf.grad(&gradients).unwrap());
    ValueAndGradients {
        losses: values(output.losses.clone()),
        of_positives: gradient(positives),
        of_negatives: gradient(negatives),
    }
}

/// Asserts that two vectors agree to the rounding of `f32`.
#[track_caller]
pub(super) fn assert_close(actual: &[f64], expected: &[f64]) {
    let close = |(a, e): (&f64, &f64)| (a - e).abs() <= 1e-6 * e.abs().max(1.0);
    assert!(
        actual.len() == expected.len() && actual.iter().zip(expected).all(close),
        "{actual:?} instead of {expected:?}"
    );
}
