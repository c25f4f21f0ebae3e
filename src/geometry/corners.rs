//! The largest inner product between two segments, which is that of two of their ends.

use burn::tensor::{Tensor, backend::Backend};

/// The largest inner product of a point of one segment with a point of another; segment i runs from
/// row 2i of the embeddings to row 2i + 1.
///
/// The inner product is linear in each of the two points, so that its largest value lies at one of
/// the four corners: two ends. Of several largest, one receives the gradient.
///
/// # Shapes
/// - embeddings: \[2P, D\]
/// - output: \[P, P\], symmetric
///
/// # Panics
/// If the number of rows is odd.
pub fn corner_products<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, _] = embeddings.dims();
    assert!(
        rows.is_multiple_of(2),
        "rows 2i and 2i + 1 are the ends of a segment, but there are {rows}"
    );
    let pairs = rows / 2;
    embeddings
        .clone()
        .matmul(embeddings.transpose())
        .reshape([pairs, 2, rows])
        .max_dim(1)
        .reshape([pairs * pairs, 2])
        .max_dim(1)
        .reshape([pairs, pairs])
}
