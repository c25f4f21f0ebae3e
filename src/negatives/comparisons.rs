//! What `negatives` hands to `loss`.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

/// The comparisons of A anchors with their positives and negatives, as Euclidean distances.
///
/// Values where a mask is false mean nothing but are finite. An anchor may have no positive or no
/// negative at all.
#[derive(Debug, Clone)]
pub struct Comparisons<B: Backend> {
    /// Distances to positives, \[A, Kp\].
    pub positives: Tensor<B, 2>,
    /// True where `positives` holds a positive, \[A, Kp\].
    pub positive_mask: Tensor<B, 2, Bool>,
    /// Distances to negatives, \[A, Kn\].
    pub negatives: Tensor<B, 2>,
    /// True where `negatives` holds a negative, \[A, Kn\].
    pub negative_mask: Tensor<B, 2, Bool>,
}

/// True where row i and row j are of the same class, \[N, N\], from labels \[N\].
pub(super) fn same_class<B: Backend>(labels: Tensor<B, 1, Int>) -> Tensor<B, 2, Bool> {
    let rows = labels.dims()[0];
    let column = labels.reshape([rows, 1]);
    column.clone().equal(column.transpose())
}

/// True where row i and row j are different rows of the same class, \[N, N\], given
/// [`same_class`].
pub(super) fn others_of_class<B: Backend>(same_class: Tensor<B, 2, Bool>) -> Tensor<B, 2, Bool> {
    let device = same_class.device();
    let off_diagonal = Tensor::diag_mask(same_class.shape(), 0, &device);
    same_class.bool_and(off_diagonal)
}
