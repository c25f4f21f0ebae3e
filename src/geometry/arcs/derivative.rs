//! The distance of the closest points of arcs, and its derivative.

use burn::tensor::{Tensor, backend::Backend};

use super::search::{Arcs, Extents, Points};
use crate::geometry::envelope::reciprocal_or_zero;
use crate::geometry::frame_products::FrameProducts;
use crate::geometry::lengths::length_of_square;
use crate::geometry::measure::Measure;

impl<B: Backend> Arcs<B> {
    /// Returns the squared distance of the points, without the cancellation of large terms for near
    /// points.
    ///
    /// With p = a m + b t, where a = cos θ/|m| and b = sin θ/|t|, and the same form for q:
    /// |aᵢmᵢ − aⱼmⱼ|² = aᵢaⱼ|mᵢ − mⱼ|² + (aᵢ − aⱼ)(aᵢ|mᵢ|² − aⱼ|mⱼ|²), and m ⟂ t in each pair.
    fn squared_distance(&self, points: &Points<B>) -> Tensor<B, 2> {
        let FrameProducts { mt, tm, tt, .. } = self.products.clone();
        let Points {
            cos_theta,
            sin_theta,
            cos_psi,
            sin_psi,
        } = points.clone();
        let a_of_i = cos_theta.clone() * self.of_rows.per_cos.clone();
        let a_of_j = cos_psi.clone() * self.of_columns.per_cos.clone();
        let longer = cos_theta.clone() * self.of_rows.cos.clone()
            - cos_psi.clone() * self.of_columns.cos.clone();
        let middles = a_of_i.clone() * a_of_j.clone() * self.squared_middle_distances.clone()
            + (a_of_i - a_of_j) * longer;
        let along = sin_theta.clone() * sin_theta.clone() + sin_psi.clone() * sin_psi.clone();
        let across = sin_theta.clone() * cos_psi * tm
            + sin_psi.clone() * cos_theta * mt
            + sin_theta * sin_psi * tt;
        middles + along - across.mul_scalar(2.0)
    }

    /// Returns the measure of the points, and row i's half of its derivative: the coefficients of m·m,
    /// m·t, t·m, t·t of the unscaled frames, then those of m·m, m·t + t·m and t·t of row i with itself,
    /// each with one live factor; each \[R, P\].
    pub(super) fn derivative(&self, points: Points<B>, measure: Measure) -> [Tensor<B, 2>; 8] {
        let Extents {
            cos,
            sin,
            per_cos,
            per_sin,
        } = self.of_rows.clone();
        let (from_m, from_t) = self.seen_from_frame(&points);
        let Points {
            cos_theta,
            sin_theta,
            cos_psi,
            sin_psi,
        } = points.clone();
        let part_m = cos_theta.clone() * from_m.clone();
        let part_t = sin_theta.clone() * from_t.clone();
        // An end θ = ±h moves with h. At any other best θ, ∂f/∂θ is 0 and the factor has no effect.
        let side = sin_theta.clone() * per_sin.clone();
        let turn = side * (cos_theta.clone() * from_t.clone() - sin_theta.clone() * from_m.clone());

        let (value, by_m, by_t) = match measure {
            Measure::InnerProduct => {
                let cosine = part_m.clone() + part_t.clone();
                (cosine, per_cos.clone(), per_sin.clone())
            }
            Measure::Distance => {
                let distance = length_of_square(self.squared_distance(&points));
                let by_cosine = reciprocal_or_zero(distance.clone()).neg();
                (
                    distance,
                    by_cosine.clone() * per_cos.clone(),
                    by_cosine * per_sin.clone(),
                )
            }
        };
        // ∂h/∂|m| = −sin h and ∂h/∂|t| = cos h.
        let own_mm = by_m.clone() * (turn.clone() * sin.clone() + part_m * per_cos).neg();
        let own_tt = by_t.clone() * (turn * cos.clone() - part_t * per_sin);
        let (to_m, to_t) = (by_m * cos_theta, by_t * sin_theta);
        // f depends on h and on the directions of m and t only, so E is 0 in the parts along the rows
        // themselves (see `Frames`).
        let own_mt = (to_m.clone() * from_t * sin + to_t.clone() * from_m * cos).neg();
        let (of_m, of_t) = (
            cos_psi * self.of_columns.per_cos.clone(),
            sin_psi * self.of_columns.per_sin.clone(),
        );
        [
            value,
            to_m.clone() * of_m.clone(),
            to_m * of_t.clone(),
            to_t.clone() * of_m,
            to_t * of_t,
            own_mm,
            own_mt,
            own_tt,
        ]
    }
}
