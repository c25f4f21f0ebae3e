//! Closest approach of great-circle arcs (LoOp, arXiv 2108.09335, section 3: the optimal hard
//! negative of two pairs of unit-length embeddings).
//!
//! Letters: a pair i is the minor arc from x₁ to x₂ on the unit sphere, pair j that from y₁ to y₂.
//! m = (x₁ + x₂)/|x₁ + x₂| is the middle of the arc and t = (x₂ − x₁)/|x₂ − x₁| ⟂ m its direction
//! there, so that
//!
//! ```text
//! p(θ) = cos θ · m + sin θ · t,   |θ| ≤ h,   h = atan2(|x₂ − x₁|, |x₁ + x₂|)
//! ```
//!
//! is the point of the arc at angle θ, and h is half the angle of the arc. The inner product of a
//! point θ of arc i and a point ψ of arc j depends only on the four inner products of their frames
//! m, t,
//!
//! ```text
//! f(θ, ψ) = A cos θ cos ψ + B cos θ sin ψ + C sin θ cos ψ + D sin θ sin ψ,
//! A = mᵢ·mⱼ,  B = mᵢ·tⱼ,  C = tᵢ·mⱼ,  D = tᵢ·tⱼ,
//! ```
//!
//! and the distance of the arcs is √(2 − 2 max f) over the box |θ| ≤ hᵢ, |ψ| ≤ hⱼ. The matrix
//! products of all sums x₁ + x₂ and differences x₂ − x₁ contain every A, B, C, D, every length and the
//! distances of the ends. The rest is O(P²).
//!
//! **Maximum.** f is ½|(A+D, C−B)| cos(θ − ψ − u) + ½|(A−D, B+C)| cos(θ + ψ − v) with
//! u = atan2(C − B, A + D), v = atan2(B + C, A − D). Its maximum over all angles is at
//! θ = (v + u)/2, ψ = (v − u)/2, and at both shifted by π. With only one of them shifted, f has its
//! minimum. As h ≤ π/2, only the shift with cos θ, cos ψ ≥ 0 can be in the box. If it is outside, the
//! maximum is on one of the four edges, on which f = p cos ψ + q sin ψ. The box is symmetric about 0,
//! so the nearest point is atan2(q, p) clamped to ±h. Angles are stored as cosines and sines, so that
//! all of this needs square roots only: faster than trigonometric functions, and more exact on GPUs.
//! It needs no tolerances.
//!
//! **Gradient.** The angles are found without gradient and held constant as *fractions* θ/hᵢ, ψ/hⱼ. The
//! derivative is that of f with m, t and h as functions of the embeddings. By the envelope theorem it
//! is exact, in the interior and at the ends (`envelope.rs` describes the method).
//!
//! **Accuracy.** m and t come from sums and differences of embeddings, so an arc of any length down
//! to the rounding of its ends has its frame at full precision, without a division by sin of a small
//! angle. √(2 − 2f) would lose half the digits of small distances, so the distance is computed from
//! |mᵢ − mⱼ|² (`products.rs`). The computation is in `f64` if the device supports it and Burn does not
//! fuse operations. Distances are then accurate to 3e-7, and to 1e-5 for arcs within 1e-4 of a half
//! circle, whose planes are defined by few digits. In `f32` they are accurate to 1e-6 if all ends are near
//! one another, otherwise to 5e-6 above 0.1, and to 1e-3 where long arcs touch; less for arcs within
//! 1e-2 of a half circle.
//!
//! **Special cases**, all with finite values and gradients:
//! - x₁ = x₂ (to `f32` rounding): the arc is a point, and both ends share its gradient evenly;
//! - x₁ = −x₂ (to `f32` rounding): every half circle between the ends is a shortest path, so the arc
//!   consists of the points that all of them share: its two ends;
//! - arcs that touch: distance 0, gradient 0.

mod derivative;
mod points;
mod search;

use burn::tensor::{Tensor, backend::Backend};

use super::envelope::{in_row_chunks, with_derivative};
use super::frame_products::FrameProducts;
use super::frames::Frames;
use super::measure::Measure;
use super::transpose::transpose;
use crate::kernels::closest_points::Approach;
pub(crate) use points::approach_of_points;
use search::Arcs;

/// Returns the smallest Euclidean distance, or the largest inner product, between every two arcs.
///
/// Arc i runs from the direction of row 2i of the embeddings to that of row 2i + 1.
///
/// # Shapes
/// - embeddings: \[2P, D\], of any length
/// - output: \[P, P\], symmetric; distances 0 to 2, inner products −1 to 1
///
/// # Panics
/// If the number of rows is odd.
pub fn arc_approach<B: Backend>(embeddings: Tensor<B, 2>, measure: Measure) -> Tensor<B, 2> {
    approach(&Frames::from_neighbours(embeddings, true), measure)
}

/// [`arc_approach`] for the frames of unit rows.
pub(crate) fn approach<B: Backend>(frames: &Frames<B>, measure: Measure) -> Tensor<B, 2> {
    let by_kernel = frames.closest_points_by_kernel(match measure {
        Measure::Distance => Approach::ArcDistance,
        Measure::InnerProduct => Approach::ArcProduct,
    });
    if let Some(approach) = by_kernel {
        return approach;
    }
    let pairs = frames.pairs;
    let arcs = Arcs::from_frames(&frames.comparisons());
    let edges = in_row_chunks(pairs, pairs, |rows| arcs.rows(rows).nearest_to_ends());
    // The products are symmetric in i and j, so the edges at the ends of arc j are the transpose of
    // those at the ends of arc i.
    let transposed = edges.clone().map(transpose);
    let [value, mm, mt, tm, tt, own_mm, own_mt, own_tt] = in_row_chunks(pairs, pairs, |rows| {
        let of_rows = |edge: &Tensor<B, 2>| edge.clone().slice([rows.clone()]);
        let arcs = arcs.rows(rows.clone());
        let points = arcs.nearest(
            edges.each_ref().map(of_rows),
            transposed.each_ref().map(of_rows),
        );
        arcs.derivative(points, measure)
    });
    let live = frames.live.blocks();
    let half = live.clone().weighted_sum(FrameProducts { mm, mt, tm, tt });
    let own = live.own();
    let half = half + own_mm * own.mm + own_mt * (own.mt + own.tm) + own_tt * own.tt;
    with_derivative(value, half.clone(), half, frames.dtype)
}

#[cfg(test)]
mod tests;
