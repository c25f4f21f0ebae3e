//! Closest approach of points and arcs.

use burn::tensor::{Tensor, backend::Backend};

use super::search::{Arcs, Points};
use crate::geometry::envelope::{in_row_chunks, with_derivative};
use crate::geometry::measure::Measure;
use crate::geometry::point_frames::PointFrames;
use crate::geometry::transpose::transpose;

/// Returns the smallest Euclidean distance, or the largest inner product, between every unit row of a batch and the
/// arc of every pair of its rows.
///
/// A point is an arc of two equal ends, so θ is 0, and the nearest point of the arc is that of p cos ψ + q sin ψ with
/// p and q as on an edge of the box.
///
/// # Shapes
/// - output: \[N, P\]
pub(crate) fn approach_of_points<B: Backend>(
    frames: &PointFrames<B>,
    measure: Measure,
) -> Tensor<B, 2> {
    let [points, arcs] =
        [&frames.points, &frames.pairs].map(|compared| Arcs::from_frames(&compared.fixed));
    let [of_points, of_arcs] = points.products.mm.dims();
    let [cos_psi, sin_psi] = in_row_chunks(of_points, of_arcs, |rows| {
        points.rows(rows).nearest_to_middles()
    });

    let [value, half @ ..] = in_row_chunks(of_points, of_arcs, |rows| {
        let [cos_psi, sin_psi] = [&cos_psi, &sin_psi].map(|x| x.clone().slice([rows.clone()]));
        let nearest = Points {
            cos_theta: cos_psi.ones_like(),
            sin_theta: cos_psi.zeros_like(),
            cos_psi,
            sin_psi,
        };
        points.rows(rows).derivative(nearest, measure)
    });
    let transposed = [cos_psi, sin_psi].map(transpose);
    let [_, other_half @ ..] = in_row_chunks(of_arcs, of_points, |rows| {
        let [cos_theta, sin_theta] = transposed
            .each_ref()
            .map(|x| x.clone().slice([rows.clone()]));
        let nearest = Points {
            cos_psi: cos_theta.ones_like(),
            sin_psi: cos_theta.zeros_like(),
            cos_theta,
            sin_theta,
        };
        arcs.rows(rows).derivative(nearest, measure)
    });
    with_derivative(
        value,
        frames.points.half(half),
        frames.pairs.half(other_half),
        frames.dtype,
    )
}
