//! What `negatives` hands to `loss`.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::geometry::{Measure, transpose};

/// The comparisons of A anchors with their positives and negatives.
///
/// Values where a mask is false mean nothing but are finite. An anchor may have no positive or no
/// negative at all. Where Kp = A, column j of the positives belongs to anchor j; column j of the
/// negatives always does (Kn = A) as [`Negatives::compare`](super::Negatives::compare) gives them.
#[derive(Debug, Clone)]
pub struct Comparisons<B: Backend> {
    /// What the values are: Euclidean distances or inner products.
    pub measure: Measure,
    /// Distances to, or inner products with, positives, \[A, Kp\].
    pub positives: Tensor<B, 2>,
    /// True where `positives` holds a positive, \[A, Kp\].
    pub positive_mask: Tensor<B, 2, Bool>,
    /// Distances to, or inner products with, negatives, \[A, Kn\].
    pub negatives: Tensor<B, 2>,
    /// True where `negatives` holds a negative, \[A, Kn\].
    pub negative_mask: Tensor<B, 2, Bool>,
    /// Mean squared length of each anchor's own embeddings, \[A, 1\]: those of its image, or of
    /// both images of its pair.
    pub squared_lengths: Tensor<B, 2>,
}

impl<B: Backend> Comparisons<B> {
    /// Makes sure that the values are what a loss is defined on.
    ///
    /// # Panics
    /// If they are not.
    pub(crate) fn expect(&self, measure: Measure) {
        assert_eq!(
            self.measure, measure,
            "the loss and the comparisons must be of one measure: pass `loss.measure()` on"
        );
    }
}

/// |x|² of every row, \[N, 1\].
pub(super) fn squared_lengths<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    rows.square().sum_dim(1)
}

/// True where row i and row j are of the same class, \[N, N\], from labels \[N\].
pub(super) fn same_class<B: Backend>(labels: Tensor<B, 1, Int>) -> Tensor<B, 2, Bool> {
    let rows = labels.dims()[0];
    let column = labels.reshape([rows, 1]);
    column.clone().equal(transpose(column))
}

/// True where row i and row j are different rows of the same class, \[N, N\], given
/// [`same_class`].
pub(super) fn others_of_class<B: Backend>(same_class: Tensor<B, 2, Bool>) -> Tensor<B, 2, Bool> {
    let device = same_class.device();
    let off_diagonal = Tensor::diag_mask(same_class.shape(), 0, &device);
    same_class.bool_and(off_diagonal)
}

/// True where the flag of row i and that of row j are, \[N, N\], from \[N, 1\].
pub(super) fn both<B: Backend>(flags: Tensor<B, 2, Bool>) -> Tensor<B, 2, Bool> {
    let [rows, _] = flags.dims();
    flags
        .clone()
        .expand([rows, rows])
        .bool_and(transpose(flags).expand([rows, rows]))
}
