//! Nearest points of a grid on the segments between neighbouring embeddings (Embedding Expansion,
//! arXiv 2003.02546, section 3.1).
//!
//! Letters: the images x₁, x₂ of pair i and the n inner points between them are p = m + τ t for
//! τ = −1 + 2k/(n + 1), k = 0 … n + 1, where m = (x₁ + x₂)/2 and t = (x₂ − x₁)/2. They are scaled to
//! unit length if the embeddings are. q with σ is the same for pair j. The candidates of an image
//! are the image and the n inner points of its pair, not the other image.
//!
//! p·q and |p|² are computed from the inner products of the frames, without the points themselves, so
//! that memory does not grow with n.
//!
//! **Gradient**: that of the two nearest points (0 if they coincide). A point without a direction, the
//! middle of two opposite images, is excluded.
//!
//! **Accuracy**: distances as those of [arcs](super::arcs). The gradient is rounded to the caller's
//! float type, by 1e-7/d of its length for points at distance d.

mod derivative;
mod grid;

use burn::tensor::{Tensor, backend::Backend};

use super::envelope::{in_row_chunks, with_derivative};
use super::frame_products::FrameProducts;
use super::frames::Frames;
use super::measure::Measure;
use derivative::DERIVATIVE;
use grid::Grid;

/// Returns for every two images the smallest distance, or the largest inner product, between a
/// candidate of one and a candidate of the other: the image itself, or one of the `points` inner points
/// between it and its neighbour (rows 2i and 2i + 1).
///
/// It evaluates (n + 2)² matrices \[N/2, N/2\]; its memory does not depend on n.
///
/// # Shapes
/// - embeddings: \[N, D\]; if `normalized`, they and the inner points are scaled to unit length
/// - output: \[N, N\], symmetric; entries of an image with itself or its neighbour have no meaning
///
/// # Panics
/// If the number of rows is odd, or if `points` is 0.
pub fn inner_point_approach<B: Backend>(
    embeddings: Tensor<B, 2>,
    points: usize,
    normalized: bool,
    measure: Measure,
) -> Tensor<B, 2> {
    assert!(points > 0, "the number of inner points must be at least 1");
    let frames = Frames::from_neighbours(embeddings, normalized);
    let pairs = frames.pairs;
    let grid = Grid {
        frames: frames.comparisons(),
        points,
        normalized,
        measure,
    };
    // For the images x₁x₁, x₁x₂, x₂x₁, x₂x₂ of the two pairs.
    let found: [Tensor<B, 2>; 4 * DERIVATIVE] = in_row_chunks(pairs, pairs, |rows| {
        let grid = grid.rows(rows);
        let found = grid
            .nearest()
            .into_iter()
            .flat_map(|best| grid.derivative(best));
        // In the caller's float type, to save memory: these are sixteen times as many numbers as the
        // products.
        let found: Vec<_> = found.map(|matrix| matrix.cast(frames.dtype)).collect();
        found
            .try_into()
            .expect("each of the 4 pairs of images has 8 matrices")
    });
    let live = frames
        .live
        .blocks()
        .map(|products| products.cast(frames.dtype));
    let own = live.own();
    let mut found = found.into_iter();
    let mut next = || found.next().expect("the loop below takes 4 x 8 matrices");
    let approaches: Vec<_> = (0..4)
        .map(|_| {
            let value = next();
            let across = FrameProducts {
                mm: next(),
                mt: next(),
                tm: next(),
                tt: next(),
            };
            let half = live.clone().weighted_sum(across)
                + next() * own.mm.clone()
                + next() * (own.mt.clone() + own.tm.clone())
                + next() * own.tt.clone();
            (value, half)
        })
        .collect();
    let between = |x: usize, y: usize| {
        let (value, half) = approaches[2 * x + y].clone();
        let (_, other_half) = approaches[2 * y + x].clone();
        with_derivative(value, half, other_half, frames.dtype)
    };
    let rows_of = |x: usize| {
        Tensor::stack::<3>(vec![between(x, 0), between(x, 1)], 2).reshape([pairs, 2 * pairs])
    };
    Tensor::stack::<3>(vec![rows_of(0), rows_of(1)], 1).reshape([2 * pairs, 2 * pairs])
}

#[cfg(test)]
mod tests;
