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
//! runs along it, h being half its angle. The inner product of a point θ of arc i and a point ψ of
//! arc j needs nothing but the four inner products of their frames m, t,
//!
//! ```text
//! f(θ, ψ) = A cos θ cos ψ + B cos θ sin ψ + C sin θ cos ψ + D sin θ sin ψ,
//! A = mᵢ·mⱼ,  B = mᵢ·tⱼ,  C = tᵢ·mⱼ,  D = tᵢ·tⱼ,
//! ```
//!
//! and the distance of the arcs is √(2 − 2 max f) over the box |θ| ≤ hᵢ, |ψ| ≤ hⱼ. The matrix
//! products of all sums x₁ + x₂ and differences x₂ − x₁ give every A, B, C, D, every length and the
//! distances of the ends; the rest is O(P²).
//!
//! **Maximum.** f is ½|(A+D, C−B)| cos(θ − ψ − u) + ½|(A−D, B+C)| cos(θ + ψ − v) with
//! u = atan2(C − B, A + D), v = atan2(B + C, A − D): its maximum over all angles lies at
//! θ = (v + u)/2, ψ = (v − u)/2 (and at both shifted by π, which never is in the box when this one
//! is not, as h ≤ π/2). Where that is outside the box, the maximum is on one of the four edges, on
//! which f = p cos ψ + q sin ψ: the nearest point is atan2(q, p) clamped to ±h, the box being
//! symmetric about 0. No tolerance, no multiplier test, no sentinel.
//!
//! **Gradient.** The angles are found without gradient and kept as *fractions* θ/hᵢ, ψ/hⱼ; the
//! derivative is that of f with m, t and h as functions of the embeddings. By the envelope theorem it
//! is exact, in the interior and at the ends ([`envelope`](super::envelope) says how it is carried).
//!
//! **Accuracy.** m and t come from sums and differences of embeddings, so an arc of any length down
//! to the rounding of its ends has its frame at full precision, and nothing is divided by sin of a
//! small angle. What is left is 2 − 2f, which loses half the digits where arcs touch: an error of
//! 1e-7 in f is one of 4e-4 in a distance of 0. So the work is done in `f64` where the device has
//! it and Burn does not fuse operations (the CPU): distances are then right to 3e-7, and to 1e-5 for
//! arcs within 1e-4 of a half circle, whose planes few digits define. In `f32` alone (GPUs) they are
//! right to 2e-3 near 0 and to 5e-6 above 0.1, and less for arcs within 1e-2 of a half circle.
//!
//! **Special cases**, all with finite values and gradients:
//! - x₁ = x₂ (to `f32` rounding): the arc is a point, its gradient is shared evenly by both ends;
//! - x₁ = −x₂ (to `f32` rounding): every half circle between the ends is a shortest path and none is
//!   preferred, so the arc counts as what all of them have in common: its two ends;
//! - arcs that touch: distance 0, gradient 0.

use burn::tensor::{Tensor, backend::Backend};

use super::Measure;
use super::envelope::{in_row_chunks, reciprocal_or_zero, with_derivative};
use super::frames::{FrameProducts, Frames};
use super::lengths::length_of_square;

/// The smallest Euclidean distance, or the largest inner product, between every two arcs; arc i runs
/// from the direction of row 2i of the embeddings to that of row 2i + 1.
///
/// # Shapes
/// - embeddings: \[2P, D\], whose lengths do not count
/// - output: \[P, P\], symmetric; distances 0 to 2, inner products −1 to 1
///
/// # Panics
/// If the number of rows is odd.
pub fn arc_approach<B: Backend>(embeddings: Tensor<B, 2>, measure: Measure) -> Tensor<B, 2> {
    approach(&Frames::of_neighbours(embeddings, true), measure)
}

/// [`arc_approach`] of the pairs of `frames`, which are those of unit rows.
pub(crate) fn approach<B: Backend>(frames: &Frames<B>, measure: Measure) -> Tensor<B, 2> {
    let pairs = frames.pairs;
    let arcs = Arcs::of(&frames.fixed);
    let edges = in_row_chunks(pairs, pairs, |rows| arcs.rows(rows).nearest_to_ends());
    // The products are symmetric in i and j, so the edges at the ends of arc j are those at the ends
    // of arc i, transposed.
    let transposed = edges.clone().map(Tensor::transpose);
    let [value, mm, mt, tm, tt, own_mm, own_tt] = in_row_chunks(pairs, pairs, |rows| {
        let of_rows = |edge: &Tensor<B, 2>| edge.clone().slice([rows.clone()]);
        let arcs = arcs.rows(rows.clone());
        let (theta, psi) = arcs.nearest(
            edges.each_ref().map(of_rows),
            transposed.each_ref().map(of_rows),
        );
        arcs.derivative(theta, psi, measure)
    });
    let half = frames
        .live
        .clone()
        .weighted_sum(FrameProducts { mm, mt, tm, tt });
    let own = frames.live.own();
    let half = half + own_mm * own.mm + own_tt * own.tt;
    with_derivative(value, half.clone(), half, frames.dtype)
}

/// Some rows' arcs beside all arcs, without gradient. R rows, P arcs.
struct Arcs<B: Backend> {
    /// A = mᵢ·mⱼ, B = mᵢ·tⱼ, C = tᵢ·mⱼ, D = tᵢ·tⱼ of the frames scaled to unit length, \[R, P\].
    products: FrameProducts<B>,
    of_rows: Extents<B>,
    of_columns: Extents<B>,
}

/// How far arcs reach, \[R, 1\] or \[1, P\].
#[derive(Clone)]
struct Extents<B: Backend> {
    /// h, half the angle.
    half_angle: Tensor<B, 2>,
    /// 1/|m|; 0 where m has no direction.
    per_m: Tensor<B, 2>,
    /// 1/|t|; 0 where t has no direction.
    per_t: Tensor<B, 2>,
    /// ∂h/∂|m|.
    turn_by_m: Tensor<B, 2>,
    /// ∂h/∂|t|.
    turn_by_t: Tensor<B, 2>,
}

impl<B: Backend> Extents<B> {
    fn map(self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            half_angle: f(self.half_angle),
            per_m: f(self.per_m),
            per_t: f(self.per_t),
            turn_by_m: f(self.turn_by_m),
            turn_by_t: f(self.turn_by_t),
        }
    }
}

impl<B: Backend> Arcs<B> {
    /// All arcs beside all arcs, from the inner products of their frames.
    fn of(products: &FrameProducts<B>) -> Self {
        let own = products.own();
        let (m, t) = (length_of_square(own.mm), length_of_square(own.tt));
        let per_square = reciprocal_or_zero(m.clone() * m.clone() + t.clone() * t.clone());
        let extents = Extents {
            half_angle: angle(t.clone(), m.clone()),
            per_m: reciprocal_or_zero(m.clone()),
            per_t: reciprocal_or_zero(t.clone()),
            turn_by_m: t.neg() * per_square.clone(),
            turn_by_t: m * per_square,
        };
        let transposed = extents.clone().map(Tensor::transpose);
        Self {
            products: FrameProducts {
                mm: products.mm.clone() * extents.per_m.clone() * transposed.per_m.clone(),
                mt: products.mt.clone() * extents.per_m.clone() * transposed.per_t.clone(),
                tm: products.tm.clone() * extents.per_t.clone() * transposed.per_m.clone(),
                tt: products.tt.clone() * extents.per_t.clone() * transposed.per_t.clone(),
            },
            of_rows: extents,
            of_columns: transposed,
        }
    }

    fn rows(&self, rows: std::ops::Range<usize>) -> Self {
        Self {
            products: self.products.rows(rows.clone()),
            of_rows: self.of_rows.clone().map(|x| x.slice([rows.clone()])),
            of_columns: self.of_columns.clone(),
        }
    }

    /// For the nearer end of arc i and the point of arc j that is nearest to it: their inner
    /// product and their angles θ = ±hᵢ and ψ, each \[R, P\].
    fn nearest_to_ends(&self) -> [Tensor<B, 2>; 3] {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let half_i = self.of_rows.half_angle.clone();
        let half_j = self.of_columns.half_angle.clone();
        let (cos, sin) = (half_i.clone().cos(), half_i.clone().sin());
        let (p_middle, q_middle) = (mm * cos.clone(), mt * cos);
        let (p_along, q_along) = (tm * sin.clone(), tt * sin);
        let nearest_to = |p: Tensor<B, 2>, q: Tensor<B, 2>| {
            let psi = angle(q.clone(), p.clone())
                .min_pair(half_j.clone())
                .max_pair(half_j.clone().neg());
            (p * psi.clone().cos() + q * psi.clone().sin(), psi)
        };
        let (value, psi) = nearest_to(
            p_middle.clone() + p_along.clone(),
            q_middle.clone() + q_along.clone(),
        );
        let (other_value, other_psi) = nearest_to(p_middle - p_along, q_middle - q_along);

        let other_is_nearer = other_value.clone().greater(value.clone());
        let shape = value.shape();
        let theta = half_i
            .clone()
            .expand(shape.clone())
            .mask_where(other_is_nearer.clone(), half_i.neg().expand(shape));
        [
            value.mask_where(other_is_nearer.clone(), other_value),
            theta,
            psi.mask_where(other_is_nearer, other_psi),
        ]
    }

    /// The angles θ and ψ of the closest points, each \[R, P\], from the best of the edges at the
    /// ends of arc i and at those of arc j: [`nearest_to_ends`](Self::nearest_to_ends) of (i, j) and
    /// of (j, i).
    fn nearest(
        &self,
        at_end_of_i: [Tensor<B, 2>; 3],
        at_end_of_j: [Tensor<B, 2>; 3],
    ) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let [value_i, theta_i, psi_i] = at_end_of_i;
        let [value_j, psi_j, theta_j] = at_end_of_j;
        let i_is_nearer = value_i.greater_equal(value_j);
        let theta = theta_j.mask_where(i_is_nearer.clone(), theta_i);
        let psi = psi_j.mask_where(i_is_nearer, psi_i);

        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let u = angle(tm.clone() - mt.clone(), mm.clone() + tt.clone());
        let v = angle(mt + tm, mm - tt);
        let free_theta = (v.clone() + u.clone()).mul_scalar(0.5);
        let free_psi = (v - u).mul_scalar(0.5);
        let inside = free_theta
            .clone()
            .abs()
            .lower_equal(self.of_rows.half_angle.clone())
            .bool_and(
                free_psi
                    .clone()
                    .abs()
                    .lower_equal(self.of_columns.half_angle.clone()),
            );
        (
            theta.mask_where(inside.clone(), free_theta),
            psi.mask_where(inside, free_psi),
        )
    }

    /// The measure of the points θ and ψ, and row i's half of its derivative: the coefficients of
    /// m·m, m·t, t·m, t·t of the unscaled frames, then those of |mᵢ|² and |tᵢ|² (as products of
    /// which one factor is live); each \[R, P\].
    fn derivative(
        &self,
        theta: Tensor<B, 2>,
        psi: Tensor<B, 2>,
        measure: Measure,
    ) -> [Tensor<B, 2>; 7] {
        let Extents {
            half_angle,
            per_m,
            per_t,
            turn_by_m,
            turn_by_t,
        } = self.of_rows.clone();
        // θ moves with the end of its arc, as a constant fraction of h. An arc that is a point has
        // the only angle 0, whatever it is divided by.
        let fraction = theta.clone() / half_angle.clamp_min(f32::MIN_POSITIVE);
        let (cos_i, sin_i) = (theta.clone().cos(), theta.sin());
        let (cos_j, sin_j) = (psi.clone().cos(), psi.sin());

        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let with_m = mm * cos_j.clone() + mt * sin_j.clone();
        let with_t = tm * cos_j.clone() + tt * sin_j.clone();
        let part_m = cos_i.clone() * with_m.clone();
        let cosine = part_m.clone() + sin_i.clone() * with_t.clone();
        let by_theta = cos_i.clone() * with_t.clone() - sin_i.clone() * with_m;
        let part_t = sin_i.clone() * with_t;

        let (value, by_m, by_t) = match measure {
            Measure::InnerProduct => (cosine, per_m.clone(), per_t.clone()),
            Measure::Distance => {
                let distance = length_of_square(cosine.mul_scalar(-2.0).add_scalar(2.0));
                let by_cosine = reciprocal_or_zero(distance.clone()).neg();
                (
                    distance,
                    by_cosine.clone() * per_m.clone(),
                    by_cosine * per_t.clone(),
                )
            }
        };
        let turn = fraction * by_theta;
        let own_mm = by_m.clone() * (turn.clone() * turn_by_m - part_m * per_m);
        let own_tt = by_t.clone() * (turn * turn_by_t - part_t * per_t);
        let (to_m, to_t) = (by_m * cos_i, by_t * sin_i);
        let (from_m, from_t) = (
            cos_j * self.of_columns.per_m.clone(),
            sin_j * self.of_columns.per_t.clone(),
        );
        [
            value,
            to_m.clone() * from_m.clone(),
            to_m * from_t.clone(),
            to_t.clone() * from_m,
            to_t * from_t,
            own_mm,
            own_tt,
        ]
    }
}

/// atan2(y, x), defined at (0, 0) on every device.
fn angle<B: Backend>(y: Tensor<B, 2>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    // WGSL leaves atan2(0, 0) open; this changes no x but 0.
    y.atan2(x.add_scalar(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Bool;

    use super::*;
    use crate::geometry::oracle::*;
    use proptest::prelude::*;

    fn distances<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
        arc_approach(rows, Measure::Distance)
    }

    /// The distance of the first two arcs.
    fn first_distance(rows: &Rows) -> f64 {
        values(distances(tensor::<TestBackend>(rows)))[1]
    }

    /// Σ wᵢⱼ dᵢⱼ over i ≠ j with weights of both signs, and its gradient.
    fn weighted_sum(rows: &Rows) -> (f64, Vec<f64>) {
        let pairs = rows.len() / 2;
        let weights: Vec<f32> = (0..pairs * pairs)
            .map(|k| weight(k / pairs, k % pairs) as f32)
            .collect();
        let weights = Tensor::<TestAutodiff, 1>::from_floats(&weights[..], &Default::default());
        let leaf = tensor::<TestAutodiff>(rows).require_grad();
        let sum = (distances(leaf.clone()) * weights.reshape([pairs, pairs])).sum();
        let gradient = leaf.grad(&sum.backward()).unwrap();
        (sum.into_scalar().into(), values(gradient))
    }

    fn weight(i: usize, j: usize) -> f64 {
        if i == j {
            0.0
        } else {
            ((7 * i + 3 * j) % 5) as f64 - 1.5
        }
    }

    /// [`weighted_sum`] by the oracle.
    fn expected_sum(rows: &[Vec<f64>]) -> f64 {
        let pairs = rows.len() / 2;
        let end = |k: usize| -> &[f64] { &rows[k] };
        let distance = |i: usize, j: usize| {
            arc_distance([end(2 * i), end(2 * i + 1)], [end(2 * j), end(2 * j + 1)])
        };
        (0..pairs)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| (weight(i, j) + weight(j, i)) * distance(i, j))
            .sum()
    }

    #[test]
    fn distances_of_arcs_of_every_kind_agree_with_a_dense_grid() {
        const PAIRS: usize = 16;
        // What is left in `f64`: the planes of arcs that are nearly half circles are defined by few
        // digits. All other kinds are within 3e-7.
        const TOLERANCE: f64 = 1e-5;

        for dim in [2, 3, 8, 64, 512] {
            for kind in Kind::ALL {
                for seed in 0..2 {
                    let rows = kind.rows(PAIRS, dim, seed);
                    let actual = values(distances(tensor::<TestBackend>(&rows)));
                    let rows = widened(&rows);
                    for i in 0..PAIRS {
                        for j in 0..i {
                            let expected = arc_distance(
                                [&rows[2 * i], &rows[2 * i + 1]],
                                [&rows[2 * j], &rows[2 * j + 1]],
                            );
                            let actual = actual[i * PAIRS + j];
                            assert!(
                                (actual - expected).abs() <= TOLERANCE,
                                "{kind:?} in {dim} dimensions, arcs {i} and {j} of seed {seed}: \
                                 {actual} instead of {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gradients_agree_with_central_differences_of_the_dense_grid() {
        // Not the kinds whose arcs all touch: there is no gradient to compare.
        for kind in [
            Kind::Random,
            Kind::Clustered,
            Kind::Collapsed,
            Kind::NearIdentical,
            Kind::NearAntipodal,
        ] {
            for (dim, seed) in [(2, 0), (3, 1), (8, 3), (8, 4)] {
                let mut rows = kind.rows(4, dim, seed);
                if kind == Kind::NearAntipodal {
                    // Arcs opposite to each other have two closest approaches and no gradient.
                    rows.truncate(2);
                    rows.extend(Kind::Random.rows(3, dim, seed + 10));
                }
                let wide = widened(&rows);
                // Small against the arcs and against what their ends lack to be opposite, but large
                // against the rounding of `f64`.
                let room = (0..4)
                    .map(|i| (&wide[2 * i], &wide[2 * i + 1]))
                    .map(|(x, y)| point_distance(x, y).min(4.0 - point_distance(x, y).powi(2)))
                    .fold(1e-3, f64::min);
                if room < 1e-5 {
                    continue;
                }
                let expected = numeric_gradient(expected_sum, &wide, 1e-2 * room);
                let error = relative_error(&weighted_sum(&rows).1, &expected);
                assert!(
                    error <= 1e-3,
                    "{kind:?} in {dim} dimensions, seed {seed}: {error}"
                );
            }
        }
    }

    #[test]
    fn gradients_are_finite_for_arcs_of_every_kind() {
        for dim in [2, 3, 8, 64, 512] {
            for kind in Kind::ALL {
                let (value, gradient) = weighted_sum(&kind.rows(16, dim, 5));
                assert!(value.is_finite(), "{kind:?} in {dim} dimensions");
                assert!(
                    gradient.iter().all(|x| x.is_finite()),
                    "{kind:?} in {dim} dimensions"
                );
            }
        }
    }

    #[test]
    fn identical_pair_is_a_point_whose_gradient_both_ends_share() {
        let point = vec![0.6, 0.8, 0.0];
        let rows = vec![
            point.clone(),
            point,
            vec![0.0, 0.0, 1.0],
            vec![0.0, 0.0, 1.0],
        ];
        assert!((first_distance(&rows) - f64::sqrt(2.0)).abs() < 1e-6);
        let (_, gradient) = weighted_sum(&rows);
        assert!(gradient[..3].iter().any(|x| x.abs() > 0.1));
        assert_eq!(gradient[..3], gradient[3..6]);
    }

    #[test]
    fn crossing_arcs_touch_with_gradient_zero() {
        let rows = vec![
            vec![0.8, 0.6, 0.0],
            vec![0.8, -0.6, 0.0],
            vec![0.8, 0.0, 0.6],
            vec![0.8, 0.0, -0.6],
        ];
        assert_eq!(first_distance(&rows), 0.0);
        assert!(weighted_sum(&rows).1.iter().all(|&x| x == 0.0));
    }

    #[test]
    fn arc_touches_itself_with_gradient_zero() {
        let rows = Kind::Random.rows(8, 64, 1);
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let others = Tensor::<TestAutodiff, 2, Bool>::diag_mask([8, 8], 0, &leaf.device());
        let own = distances(leaf.clone()).mask_fill(others, 0.0);
        assert_eq!(values(own.clone()), [0.0; 64]);
        let gradient = leaf.grad(&own.sum().backward()).unwrap();
        assert!(values(gradient).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn antipodal_pair_counts_as_its_two_ends() {
        let rows = vec![
            vec![1.0, 0.0, 0.0],
            vec![-1.0, 0.0, 0.0],
            vec![-0.6, 0.8, 0.0],
            vec![-0.6, 0.8, 0.0],
        ];
        let nearer_end = f64::sqrt(0.4 * 0.4 + 0.8 * 0.8);
        assert!((first_distance(&rows) - nearer_end).abs() < 1e-6);
    }

    #[test]
    fn rows_of_zeros_stay_finite() {
        let rows = vec![
            vec![0.0; 3],
            vec![0.0; 3],
            vec![1.0, 0.0, 0.0],
            vec![0.0; 3],
        ];
        let (value, gradient) = weighted_sum(&rows);
        assert!(value.is_finite() && gradient.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn only_the_directions_of_rows_count() {
        let rows = Kind::Random.rows(2, 8, 9);
        let longer: Rows = rows
            .iter()
            .map(|row| row.iter().map(|x| 4.0 * x).collect())
            .collect();
        assert!((first_distance(&rows) - first_distance(&longer)).abs() < 1e-6);
    }

    /// Two arcs with ends anywhere, close together or opposite.
    fn two_arcs() -> impl Strategy<Value = Rows> {
        let kind = prop::sample::select(&[
            Kind::Random,
            Kind::Clustered,
            Kind::Crossing,
            Kind::NearIdentical,
            Kind::Repeated,
            Kind::Coplanar,
        ]);
        (kind, 2..40usize, any::<u64>()).prop_map(|(kind, dim, seed)| kind.rows(2, dim, seed))
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_in_the_arcs_and_in_their_ends(rows in two_arcs()) {
            let expected = first_distance(&rows);
            for order in [[2, 3, 0, 1], [1, 0, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]] {
                let reordered = order.map(|k: usize| rows[k].clone()).to_vec();
                prop_assert!((first_distance(&reordered) - expected).abs() < 1e-6);
            }
        }

        #[test]
        fn distance_does_not_exceed_that_of_any_two_ends(rows in two_arcs()) {
            let ends = widened(&rows);
            for (i, j) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
                prop_assert!(first_distance(&rows) <= point_distance(&ends[i], &ends[j]) + 1e-6);
            }
        }

        #[test]
        fn distance_is_unchanged_by_rotations(rows in two_arcs(), angle in 0.0..6.3f64) {
            // Turns every plane of two neighbouring axes in turn.
            let turned: Rows = widened(&rows)
                .into_iter()
                .map(|mut row| {
                    for k in 1..row.len() {
                        let (x, y) = (row[k - 1], row[k]);
                        row[k - 1] = angle.cos() * x - angle.sin() * y;
                        row[k] = angle.sin() * x + angle.cos() * y;
                    }
                    row.into_iter().map(|x| x as f32).collect()
                })
                .collect();
            // The rounding of the turned rows to `f32` moves the arcs.
            prop_assert!((first_distance(&turned) - first_distance(&rows)).abs() < 1e-5);
        }
    }
}
