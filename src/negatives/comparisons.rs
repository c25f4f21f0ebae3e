//! The comparisons of anchors with positives and negatives: the output of `negatives` and the input
//! of `loss`.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::geometry::{Measure, transpose};

/// The comparisons of A anchors with their positives and negatives.
///
/// Values where a mask is false are finite and have no meaning. An anchor may have no positives or no
/// negatives. If Kp = A, column j of the positives is anchor j. In the output of
/// [`Negatives::compare`](super::Negatives::compare), Kn = A and column j of the negatives is anchor j.
#[derive(Debug, Clone)]
pub struct Comparisons<B: Backend> {
    /// The measure of the values: Euclidean distances or inner products.
    pub measure: Measure,
    /// Distances to, or inner products with, positives, \[A, Kp\].
    pub positives: Tensor<B, 2>,
    /// True where `positives` holds a positive, \[A, Kp\].
    pub positive_mask: Tensor<B, 2, Bool>,
    /// Distances to, or inner products with, negatives, \[A, Kn\].
    pub negatives: Tensor<B, 2>,
    /// True where `negatives` holds a negative, \[A, Kn\].
    pub negative_mask: Tensor<B, 2, Bool>,
    /// Squared length of each anchor's embedding, \[A, 1\], or the mean of both if anchors are pairs.
    pub squared_lengths: Tensor<B, 2>,
}

impl<B: Backend> Comparisons<B> {
    /// Checks that the values are of the measure that a loss takes.
    ///
    /// # Panics
    /// If they are of another measure.
    pub(crate) fn expect(&self, measure: Measure) {
        assert_eq!(
            self.measure, measure,
            "the loss and the comparisons have different measures; pass `loss.measure()` to \
             `Negatives::compare`"
        );
    }
}

/// Returns |x|² of every row, \[N, 1\].
pub(super) fn squared_lengths<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    rows.square().sum_dim(1)
}

/// Returns whether rows i and j are of the same class, \[N, N\], for labels \[N\].
pub(super) fn same_class<B: Backend>(labels: Tensor<B, 1, Int>) -> Tensor<B, 2, Bool> {
    let rows = labels.dims()[0];
    let column = labels.reshape([rows, 1]);
    column.clone().equal(transpose(column))
}

/// Returns whether rows i and j are different rows of the same class, \[N, N\], for the mask of
/// [`same_class`].
pub(super) fn others_of_class<B: Backend>(same_class: Tensor<B, 2, Bool>) -> Tensor<B, 2, Bool> {
    let device = same_class.device();
    let off_diagonal = Tensor::diag_mask(same_class.shape(), 0, &device);
    same_class.bool_and(off_diagonal)
}

/// Returns whether the flags of rows i and j are both true, \[N, N\], for flags \[N, 1\].
pub(super) fn both<B: Backend>(flags: Tensor<B, 2, Bool>) -> Tensor<B, 2, Bool> {
    let [rows, _] = flags.dims();
    flags
        .clone()
        .expand([rows, rows])
        .bool_and(transpose(flags).expand([rows, rows]))
}
