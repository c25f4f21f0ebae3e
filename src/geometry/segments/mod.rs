//! Closest approach of straight segments, the curves of LoOp for embeddings that are not scaled to unit
//! length.
//!
//! Letters: pair i is the segment m + λ t, |λ| ≤ 1, with m = (x₁ + x₂)/2 and t = (x₂ − x₁)/2; pair j
//! is the same with μ. The squared distance
//!
//! ```text
//! g(λ, μ) = |mᵢ + λ tᵢ − mⱼ − μ tⱼ|²
//! ```
//!
//! is a convex quadratic on the square |λ|, |μ| ≤ 1 and depends only on inner products of the frames.
//! Its minimum is the unconstrained one if that is inside, otherwise it is on one of the four edges,
//! where it is the clamped minimum of a parabola. The best of the unconstrained minimum and the edges
//! is taken. The unconstrained minimum of nearly parallel segments is noise, but then an edge is
//! optimal, so that they need no tolerance.
//!
//! **Gradient**: that of g at the best λ, μ, held fixed (envelope theorem); 0 for segments that touch.
//!
//! **Accuracy**: the computation is in `f64` if the device supports it and Burn does not fuse
//! operations. Distances are then accurate to 1e-7 of the embeddings' lengths. In `f32`, g is computed
//! from differences of the middles (`products.rs`), and distances are accurate to 1e-6 of the distances
//! between the ends of the two segments, and to 1e-3 of these for segments that cross.

use burn::tensor::{Tensor, backend::Backend};

use super::envelope::{in_row_chunks, reciprocal_or_zero, with_derivative};
use super::frame_products::FrameProducts;
use super::frames::{FrameComparisons, Frames};
use super::lengths::length_of_square;
use super::point_frames::PointFrames;
use super::transpose::transpose;
use crate::kernels::closest_points::Approach;

/// Returns the smallest Euclidean distance between every two segments; segment i runs from row 2i of
/// the embeddings to row 2i + 1.
///
/// # Shapes
/// - embeddings: \[2P, D\]
/// - output: \[P, P\], symmetric
///
/// # Panics
/// If the number of rows is odd.
pub fn segment_distances<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    distances(&Frames::from_neighbours(embeddings, false))
}

/// [`segment_distances`] for the frames of the pairs.
pub(crate) fn distances<B: Backend>(frames: &Frames<B>) -> Tensor<B, 2> {
    if let Some(distances) = frames.closest_points_by_kernel(Approach::SegmentDistance) {
        return distances;
    }
    let pairs = frames.pairs;
    let segments = Segments(frames.comparisons());
    let [value, mm, mt, tm, tt, own_mm, own_mt, own_tt] = in_row_chunks(pairs, pairs, |rows| {
        let segments = Segments(segments.0.rows(rows));
        let (lambda, mu) = segments.nearest();
        segments.derivative(lambda, mu)
    });
    let live = frames.live.blocks();
    let half = live.clone().weighted_sum(FrameProducts { mm, mt, tm, tt });
    let own = live.own();
    let half = half + own_mm * own.mm + own_mt * (own.mt + own.tm) + own_tt * own.tt;
    with_derivative(value, half.clone(), half, frames.dtype)
}

/// Returns the smallest Euclidean distance between every row of a batch and the segment of every pair of its rows.
///
/// A point is a segment of two equal ends, so λ is 0.
///
/// # Shapes
/// - output: \[N, P\]
pub(crate) fn distances_of_points<B: Backend>(frames: &PointFrames<B>) -> Tensor<B, 2> {
    let [points, segments] =
        [&frames.points, &frames.pairs].map(|compared| Segments(compared.fixed.clone()));
    let [of_points, of_segments] = points.0.products.mm.dims();
    let [mu] = in_row_chunks(of_points, of_segments, |rows| {
        [Segments(points.0.rows(rows)).nearest_to_middles()]
    });
    let [value, half @ ..] = in_row_chunks(of_points, of_segments, |rows| {
        let mu = mu.clone().slice([rows.clone()]);
        Segments(points.0.rows(rows)).derivative(mu.zeros_like(), mu)
    });
    let transposed = transpose(mu);
    let [_, other_half @ ..] = in_row_chunks(of_segments, of_points, |rows| {
        let lambda = transposed.clone().slice([rows.clone()]);
        Segments(segments.0.rows(rows)).derivative(lambda.clone(), lambda.zeros_like())
    });
    with_derivative(
        value,
        frames.points.half(half),
        frames.pairs.half(other_half),
        frames.dtype,
    )
}

/// R segments compared with P segments, without gradient.
struct Segments<B: Backend>(FrameComparisons<B>);

impl<B: Backend> Segments<B> {
    /// Returns λ and μ of the closest points, each \[R, P\].
    fn nearest(&self) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let FrameComparisons {
            products,
            of_rows,
            of_columns,
            ..
        } = self.0.clone();
        let FrameProducts { mm: _, mt, tm, tt } = products;
        // ½ ∂g/∂λ = tᵢtᵢ λ − tt μ + e and ½ ∂g/∂μ = tⱼtⱼ μ − tt λ − f.
        let e = of_rows.tm - tm;
        let f = mt - of_columns.mt;
        let (a, b) = (of_rows.tt, of_columns.tt);
        let (per_a, per_b) = (reciprocal_or_zero(a.clone()), reciprocal_or_zero(b.clone()));
        let onto_i =
            |mu: Tensor<B, 2>| ((tt.clone() * mu - e.clone()) * per_a.clone()).clamp(-1.0, 1.0);
        let onto_j = |lambda: Tensor<B, 2>| {
            ((tt.clone() * lambda + f.clone()) * per_b.clone()).clamp(-1.0, 1.0)
        };
        let ones = tt.ones_like();

        let determinant = a.clone() * b.clone() - tt.clone() * tt.clone();
        let free = (tt.clone() * f.clone() - b * e.clone()) * reciprocal_or_zero(determinant);
        // Clamps one coordinate and solves for the other, which stays on the square. If the minimum is
        // inside, this is the minimum.
        let mu = onto_j(free.clamp(-1.0, 1.0));
        let mut best = (onto_i(mu.clone()), mu);
        let mut smallest = self.0.squared_distance(best.0.clone(), best.1.clone());
        for end in [-1.0, 1.0] {
            let end = ones.clone().mul_scalar(end);
            for (lambda, mu) in [
                (end.clone(), onto_j(end.clone())),
                (onto_i(end.clone()), end.clone()),
            ] {
                let value = self.0.squared_distance(lambda.clone(), mu.clone());
                let smaller = value.clone().lower(smallest.clone());
                smallest = smallest.mask_where(smaller.clone(), value);
                best = (
                    best.0.mask_where(smaller.clone(), lambda),
                    best.1.mask_where(smaller, mu),
                );
            }
        }
        best
    }

    /// Returns μ of the point of segment j that is nearest to the middle of segment i, \[R, P\].
    fn nearest_to_middles(&self) -> Tensor<B, 2> {
        let of_columns = self.0.of_columns.clone();
        let along = self.0.products.mt.clone() - of_columns.mt;
        (along * reciprocal_or_zero(of_columns.tt)).clamp(-1.0, 1.0)
    }

    /// Returns the distance of the points λ and μ, and row i's half of its derivative: the coefficients
    /// of m·m, m·t, t·m, t·t, then those of m·m, m·t + t·m and t·t of row i with itself, each with one
    /// live factor; each \[R, P\].
    fn derivative(&self, lambda: Tensor<B, 2>, mu: Tensor<B, 2>) -> [Tensor<B, 2>; 8] {
        let distance = length_of_square(self.0.squared_distance(lambda.clone(), mu.clone()));
        // The half of ½ ∂g is (p − q)·dp, with p = m + λ t.
        let own_m = reciprocal_or_zero(distance.clone());
        let own_t = own_m.clone() * lambda.clone();
        let (to_m, to_t) = (own_m.clone().neg(), own_t.clone().neg());
        [
            distance,
            to_m.clone(),
            to_m * mu.clone(),
            to_t.clone(),
            to_t * mu,
            own_m,
            own_t.clone(),
            own_t * lambda,
        ]
    }
}

#[cfg(test)]
mod tests;
