//! The gradient of an extreme by the envelope theorem, without a gradient through the search.
//!
//! A closest approach is min over λ, μ of g(λ, μ; x). Its derivative in x is that of g at the best
//! λ, μ, held fixed. The search therefore runs on detached tensors, in chunks of rows whose
//! intermediate results are dropped after each chunk. It returns the value and the coefficients of its
//! derivative with respect to the inner products. Automatic differentiation records only these few
//! matrices.
//!
//! **Halves.** The matrices are symmetric: entry (i, j) depends on row i as entry (j, i) does. Each
//! entry (i, j) contains the part of the derivative with respect to row i, with row j as a constant.
//! Adding the transpose completes the derivative, and the inner products need a gradient in one factor
//! only: one matrix product in the backward pass instead of two.

use std::ops::Range;

use burn::tensor::{FloatDType, Tensor, backend::Backend};

use super::transpose::transpose;

/// Entries of the matrices of one chunk. A search holds about forty of them at once: 20 MB at 8 bytes
/// per entry, which is near the size of a CPU's caches and enough work for a GPU.
const CHUNK_ENTRIES: usize = 1 << 16;

/// Returns `value` with the derivative of `half` plus that of `other_half`'s transpose.
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
    let change = half.cast(dtype) + transpose(other_half.cast(dtype));
    value.cast(dtype) + (change.clone() - change.detach())
}

/// Runs `search` on matrices of `rows` rows and `columns` columns, one chunk of rows at a time, and
/// concatenates the matrices of all chunks along the rows.
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

/// Returns 1/x, and 0 where x is 0.
pub(super) fn reciprocal_or_zero<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero.clone(), 1.0).recip().mask_fill(zero, 0.0)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;
    use crate::geometry::{Measure, arc_approach, inner_point_approach, segment_distances};

    /// More pairs than one chunk of rows holds.
    const PAIRS: usize = 300;

    #[test]
    fn chunks_cover_every_row_once_and_are_concatenated_in_order() {
        let matrix = tensor::<TestBackend>(&Kind::Random.rows(PAIRS / 2, PAIRS, 1));
        let chunks = RefCell::new(Vec::new());
        let [doubled, squared] = in_row_chunks(PAIRS, PAIRS, |rows| {
            chunks.borrow_mut().push(rows.clone());
            let part = matrix.clone().slice([rows]);
            [part.clone().mul_scalar(2.0), part.square()]
        });
        assert_eq!(chunks.into_inner(), [0..218, 218..300]);
        assert_eq!(values(doubled), values(matrix.clone().mul_scalar(2.0)));
        assert_eq!(values(squared), values(matrix.square()));
    }

    /// Returns the entries between two thirds of the matrix, and the gradient of their sum.
    fn between(
        approach: &impl Fn(Tensor<TestAutodiff, 2>) -> Tensor<TestAutodiff, 2>,
        rows: &[Vec<f32>],
        [first, second]: [Range<usize>; 2],
    ) -> (Vec<f64>, Vec<f64>) {
        let leaf = tensor::<TestAutodiff>(&rows.to_vec()).require_grad();
        let entries = approach(leaf.clone()).slice([first, second]);
        let gradient = leaf.grad(&entries.clone().sum().backward()).unwrap();
        (values(entries), values(gradient))
    }

    /// Asserts that the matrix of all pairs consists of the matrices of parts that fit into one chunk.
    /// `images` is the number of rows of the matrix per pair.
    fn assert_parts_agree(
        images: usize,
        approach: impl Fn(Tensor<TestAutodiff, 2>) -> Tensor<TestAutodiff, 2>,
    ) {
        const DIM: usize = 8;
        let third = PAIRS / 3;
        let rows = Kind::Random.rows(PAIRS, DIM, 2);
        let ends = |k: usize| 2 * third * k..2 * third * (k + 1);
        let entries = |k: usize| images * third * k..images * third * (k + 1);
        for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 0)] {
            let (whole, gradient) = between(&approach, &rows, [entries(a), entries(b)]);
            let part = [&rows[ends(a)], &rows[ends(b)]].concat();
            let (expected, gradient_of_part) = between(&approach, &part, [entries(0), entries(1)]);
            let difference = whole.iter().zip(&expected).map(|(x, y)| (x - y).abs());
            // The blocks of the matrix product differ, so the results agree to the rounding of `f32`.
            assert!(difference.fold(0.0, f64::max) <= 3e-7, "{a}, {b}");
            let (of_a, of_b) = gradient_of_part.split_at(2 * third * DIM);
            let mut expected = vec![0.0; gradient.len()];
            for (k, of_part) in [(a, of_a), (b, of_b)] {
                let ends = ends(k);
                expected[DIM * ends.start..DIM * ends.end].copy_from_slice(of_part);
            }
            assert!(
                relative_error(&gradient, &expected) <= 1e-5,
                "gradient of {a}, {b}"
            );
        }
    }

    #[test]
    fn arcs_of_many_pairs_have_the_distances_of_few_pairs() {
        assert_parts_agree(1, |rows| arc_approach(rows, Measure::Distance));
    }

    #[test]
    fn segments_of_many_pairs_have_the_distances_of_few_pairs() {
        assert_parts_agree(1, segment_distances);
    }

    #[test]
    fn inner_points_of_many_pairs_have_the_distances_of_few_pairs() {
        assert_parts_agree(2, |rows| {
            inner_point_approach(rows, 2, true, Measure::Distance)
        });
    }
}
