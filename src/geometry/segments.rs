//! Closest approach of straight segments: what LoOp's curves are where embeddings are not scaled to
//! unit length.
//!
//! Letters: pair i is the segment m + λ t, |λ| ≤ 1, with m = (x₁ + x₂)/2 and t = (x₂ − x₁)/2; pair j
//! likewise with μ. The squared distance
//!
//! ```text
//! g(λ, μ) = |mᵢ + λ tᵢ − mⱼ − μ tⱼ|²
//! ```
//!
//! is a convex quadratic on the square |λ|, |μ| ≤ 1, made of inner products of the frames alone. Its
//! minimum is the unconstrained one where that is inside, else on one of the four edges, where it is
//! that of a parabola, clamped. Nearly parallel segments, whose unconstrained minimum is noise, need
//! no tolerance: the better of it and the edges is taken, and where they are parallel one of the
//! edges is optimal.
//!
//! **Gradient**: that of g at the best λ, μ, held fixed (envelope theorem); 0 where segments touch.
//!
//! **Accuracy**: g is a difference of squared lengths, so it is computed in `f64` where the device
//! has it and Burn does not fuse operations (the CPU): distances are then right to 1e-7 of the
//! embeddings' lengths. In `f32` they are to 1e-3 near 0.

use burn::tensor::{Tensor, backend::Backend};

use super::envelope::{in_row_chunks, reciprocal_or_zero, with_derivative};
use super::frames::{FrameProducts, Frames};
use super::lengths::length_of_square;

/// The smallest Euclidean distance between every two segments; segment i runs from row 2i of the
/// embeddings to row 2i + 1.
///
/// # Shapes
/// - embeddings: \[2P, D\]
/// - output: \[P, P\], symmetric
///
/// # Panics
/// If the number of rows is odd.
pub fn segment_distances<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    distances(&Frames::of_neighbours(embeddings, false))
}

/// [`segment_distances`] of the pairs of `frames`.
pub(crate) fn distances<B: Backend>(frames: &Frames<B>) -> Tensor<B, 2> {
    let pairs = frames.pairs;
    let own = frames.fixed.own();
    let [value, mm, mt, tm, tt, own_mm, own_mt, own_tt] = in_row_chunks(pairs, pairs, |rows| {
        let segments = Segments {
            products: frames.fixed.rows(rows.clone()),
            of_rows: own.rows(rows),
            of_columns: own.clone().map(Tensor::transpose),
        };
        let (lambda, mu) = segments.nearest();
        segments.derivative(lambda, mu)
    });
    let half = frames
        .live
        .clone()
        .weighted_sum(FrameProducts { mm, mt, tm, tt });
    let own = frames.live.own();
    let half = half + own_mm * own.mm + own_mt * (own.mt + own.tm) + own_tt * own.tt;
    with_derivative(value, half.clone(), half, frames.dtype)
}

/// Some rows' segments beside all segments, without gradient. R rows, P segments.
struct Segments<B: Backend> {
    /// Products of the frames, \[R, P\].
    products: FrameProducts<B>,
    /// Products of each row's frame with itself, \[R, 1\].
    of_rows: FrameProducts<B>,
    /// The same of the columns, \[1, P\].
    of_columns: FrameProducts<B>,
}

impl<B: Backend> Segments<B> {
    /// λ and μ of the closest points, each \[R, P\].
    fn nearest(&self) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let FrameProducts { mm: _, mt, tm, tt } = self.products.clone();
        // ½ ∂g/∂λ = tᵢtᵢ λ − tt μ + e and ½ ∂g/∂μ = tⱼtⱼ μ − tt λ − f.
        let e = self.of_rows.tm.clone() - tm;
        let f = mt - self.of_columns.mt.clone();
        let (a, b) = (self.of_rows.tt.clone(), self.of_columns.tt.clone());
        let (per_a, per_b) = (reciprocal_or_zero(a.clone()), reciprocal_or_zero(b.clone()));
        let onto_i =
            |mu: Tensor<B, 2>| ((tt.clone() * mu - e.clone()) * per_a.clone()).clamp(-1.0, 1.0);
        let onto_j = |lambda: Tensor<B, 2>| {
            ((tt.clone() * lambda + f.clone()) * per_b.clone()).clamp(-1.0, 1.0)
        };
        let ones = tt.ones_like();

        let determinant = a.clone() * b.clone() - tt.clone() * tt.clone();
        let free = (tt.clone() * f.clone() - b * e.clone()) * reciprocal_or_zero(determinant);
        // Clamping one coordinate and solving for the other stays on the square; where the minimum
        // is inside, this is it.
        let mu = onto_j(free.clamp(-1.0, 1.0));
        let mut best = (onto_i(mu.clone()), mu);
        let mut smallest = self.quadratic(best.0.clone(), best.1.clone());
        for end in [-1.0, 1.0] {
            let end = ones.clone().mul_scalar(end);
            for (lambda, mu) in [
                (end.clone(), onto_j(end.clone())),
                (onto_i(end.clone()), end.clone()),
            ] {
                let value = self.quadratic(lambda.clone(), mu.clone());
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

    /// g(λ, μ), \[R, P\].
    fn quadratic(&self, lambda: Tensor<B, 2>, mu: Tensor<B, 2>) -> Tensor<B, 2> {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let square = |own: &FrameProducts<B>, at: Tensor<B, 2>| {
            own.mm.clone() + at.clone() * (own.mt.clone().mul_scalar(2.0) + at * own.tt.clone())
        };
        let across = mm + mu.clone() * mt + lambda.clone() * (tm + mu.clone() * tt);
        square(&self.of_rows, lambda) + square(&self.of_columns, mu) - across.mul_scalar(2.0)
    }

    /// The distance of the points λ and μ, and row i's half of its derivative: the coefficients of
    /// m·m, m·t, t·m, t·t, then those of m·m, m·t + t·m and t·t of row i with itself, one factor of
    /// each being live; each \[R, P\].
    fn derivative(&self, lambda: Tensor<B, 2>, mu: Tensor<B, 2>) -> [Tensor<B, 2>; 8] {
        let distance = length_of_square(self.quadratic(lambda.clone(), mu.clone()));
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
