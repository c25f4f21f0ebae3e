//! The gradient of an extreme by the envelope theorem, without a gradient through the search.
//!
//! A closest approach is min over λ, μ of g(λ, μ; x). Its derivative in x is that of g at the best
//! λ, μ, held fixed. So the search runs on detached tensors, in chunks of rows whose intermediate
//! results are dropped at once, and leaves the value and the coefficients of its derivative in the
//! inner products; these few matrices are all that automatic differentiation sees.
//!
//! **Halves.** The matrices here are symmetric: entry (i, j) depends on row i as entry (j, i) does.
//! It is enough to write the part of the derivative that row i has in entry (i, j), with everything
//! of row j as a constant. Adding the transpose gives the rest, and the inner products need a
//! gradient in one factor only: one matrix product in the backward pass instead of two.

use std::ops::Range;

use burn::tensor::{FloatDType, Tensor, backend::Backend};

/// Entries of one chunk's matrices. Some forty of them live at once in a search: at 8 bytes an entry
/// this is 20 MB, within reach of a processor's caches, and still enough to fill a GPU.
const CHUNK_ENTRIES: usize = 1 << 16;

/// `value` as a number, and the derivative of `half` plus that of `other_half`'s transpose.
///
/// # Shapes
/// - value: \[R, C\], detached; half: \[R, C\]; other_half: \[C, R\]; both halves finite
/// - output: \[R, C\], of float type `dtype`
pub(super) fn with_derivative<B: Backend>(
    value: Tensor<B, 2>,
    half: Tensor<B, 2>,
    other_half: Tensor<B, 2>,
    dtype: FloatDType,
) -> Tensor<B, 2> {
    let change = half.cast(dtype) + other_half.cast(dtype).transpose();
    value.cast(dtype) + (change.clone() - change.detach())
}

/// `search` over all `rows` of matrices with `columns` columns, a chunk of rows at a time: the
/// matrices of all chunks, each joined along the rows.
pub(super) fn in_row_chunks<B: Backend, const N: usize>(
    rows: usize,
    columns: usize,
    search: impl Fn(Range<usize>) -> [Tensor<B, 2>; N],
) -> [Tensor<B, 2>; N] {
    let chunk = (CHUNK_ENTRIES / columns.max(1)).max(1);
    if rows <= chunk {
        return search(0..rows);
    }
    let mut found: [Vec<Tensor<B, 2>>; N] = std::array::from_fn(|_| Vec::new());
    for start in (0..rows).step_by(chunk) {
        for (all, part) in found.iter_mut().zip(search(start..rows.min(start + chunk))) {
            all.push(part);
        }
    }
    found.map(|parts| Tensor::cat(parts, 0))
}

/// 1/x, and 0 where x is 0.
pub(super) fn reciprocal_or_zero<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero.clone(), 1.0).recip().mask_fill(zero, 0.0)
}
