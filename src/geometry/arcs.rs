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
//! and the distance of the arcs is √(2 − 2 max f) over the box |θ| ≤ hᵢ, |ψ| ≤ hⱼ. One [2P, D] by
//! [D, 2P] matrix product of sums x₁ + x₂ and differences x₂ − x₁ gives every A, B, C, D, every
//! length and the distances of the ends; the rest is O(P²).
//!
//! **Maximum.** f is ½|(A+D, C−B)| cos(θ − ψ − u) + ½|(A−D, B+C)| cos(θ + ψ − v) with
//! u = atan2(C − B, A + D), v = atan2(B + C, A − D): its maximum over all angles lies at
//! θ = (v + u)/2, ψ = (v − u)/2 (and at both shifted by π, which never is in the box when this one
//! is not, as h ≤ π/2). Where that is outside the box, the maximum is on one of the four edges, on
//! which f = p cos ψ + q sin ψ: the nearest point is atan2(q, p) clamped to ±h, the box being
//! symmetric about 0. No tolerance, no multiplier test, no sentinel.
//!
//! **Gradient.** The angles are found without gradient and kept as *fractions* θ/hᵢ, ψ/hⱼ; f is then
//! evaluated with m, t and h as functions of the embeddings. By the envelope theorem this is the
//! exact (first) derivative, in the interior and at the ends.
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

use burn::tensor::{Bool, FloatDType, Tensor, backend::Backend};

use super::lengths::{length_of_square, unit_rows, widen};

/// The arcs of P pairs, from which distances are read.
#[derive(Debug, Clone)]
pub struct Arcs<B: Backend> {
    /// Inner products of the sums and differences of the ends, \[2P, 2P\]: rows and columns
    /// x₁ + x₂ of every pair, then x₂ − x₁ of every pair.
    products: Tensor<B, 2>,
    /// The float type of the embeddings, in which distances are given.
    dtype: FloatDType,
}

impl<B: Backend> Arcs<B> {
    /// The arcs between the directions of rows 2i and 2i + 1 of `embeddings`, whose lengths do not
    /// count.
    ///
    /// # Shapes
    /// - embeddings: \[2P, D\]
    ///
    /// # Panics
    /// If the number of rows is odd.
    pub fn between_neighbours(embeddings: Tensor<B, 2>) -> Self {
        let [rows, dim] = embeddings.dims();
        assert!(
            rows.is_multiple_of(2),
            "rows 2i and 2i + 1 are the ends of an arc, but there are {rows}"
        );
        let pairs = rows / 2;
        let dtype = embeddings.dtype().into();

        let ends = unit_rows(widen(embeddings)).reshape([pairs, 2 * dim]);
        let first = ends.clone().slice([0..pairs, 0..dim]);
        let second = ends.slice([0..pairs, dim..2 * dim]);
        let frames = Tensor::cat(vec![first.clone() + second.clone(), second - first], 0);
        Self {
            products: frames.clone().matmul(frames.transpose()),
            dtype,
        }
    }

    /// The smallest Euclidean distance between every two arcs, 0 to 2.
    ///
    /// # Shapes
    /// - output: \[P, P\], symmetric
    pub fn distances(&self) -> Tensor<B, 2> {
        let (half_angle, products) = self.normalized();
        let (theta, psi) = products.detached().nearest(half_angle.clone().detach());
        let theta = live_angle(theta, half_angle.clone());
        let psi = live_angle(psi, half_angle.transpose());
        let cosines = products.between(theta, psi);
        length_of_square(squared_chord(cosines)).cast(self.dtype)
    }

    /// The squared Euclidean distance between every two ends, 0 to 4; rounding may leave one that is
    /// 0 slightly negative.
    ///
    /// # Shapes
    /// - output: \[2P, 2P\], symmetric; rows and columns are the first ends of all arcs, then the
    ///   second ends of all arcs
    pub fn squared_end_distances(&self) -> Tensor<B, 2> {
        // x₁ = ((x₁ + x₂) − (x₂ − x₁))/2 and x₂ = ((x₁ + x₂) + (x₂ − x₁))/2.
        let to_ends = |products: Tensor<B, 2>, side: usize| {
            let halves = products.chunk(2, side);
            let (sum, difference) = (halves[0].clone(), halves[1].clone());
            let first = sum.clone() - difference.clone();
            Tensor::cat(vec![first, sum + difference], side)
        };
        let products = to_ends(to_ends(self.products.clone(), 0), 1);
        let cosines = products.mul_scalar(0.25);
        squared_chord(cosines).cast(self.dtype)
    }

    /// Half the angles h of the arcs, \[P, 1\], and the inner products of their frames.
    fn normalized(&self) -> (Tensor<B, 2>, FrameProducts<B>) {
        let [rows, _] = self.products.dims();
        let pairs = rows / 2;
        let off_diagonal =
            Tensor::<B, 2, Bool>::diag_mask([rows, rows], 0, &self.products.device());
        let squares = self
            .products
            .clone()
            .mask_fill(off_diagonal, 0.0)
            .sum_dim(1);
        let lengths = length_of_square(squares);
        let half_angle = lengths
            .clone()
            .slice([pairs..rows, 0..1])
            .atan2(lengths.clone().slice([0..pairs, 0..1]));

        // A sum or difference of no length has no direction and stays as it is.
        let none = lengths.clone().equal_elem(0.0);
        let scale = lengths.mask_fill(none, 1.0).recip();
        let products = self.products.clone() * scale.clone() * scale.transpose();
        let (middle, along) = (0..pairs, pairs..rows);
        let block = |rows: &std::ops::Range<usize>, columns: &std::ops::Range<usize>| {
            products.clone().slice([rows.clone(), columns.clone()])
        };
        let frames = FrameProducts {
            a: block(&middle, &middle),
            b: block(&middle, &along),
            c: block(&along, &middle),
            d: block(&along, &along),
        };
        (half_angle, frames)
    }
}

/// The squared distance 2 − 2f of unit vectors with inner product f.
fn squared_chord<B: Backend>(cosine: Tensor<B, 2>) -> Tensor<B, 2> {
    cosine.mul_scalar(-2.0).add_scalar(2.0)
}

/// `angle` as a constant fraction of the half angle, so that it moves with the arc's end.
///
/// # Shapes
/// - angle: \[P, P\], detached
/// - half_angle: \[P, 1\] or \[1, P\]
fn live_angle<B: Backend>(angle: Tensor<B, 2>, half_angle: Tensor<B, 2>) -> Tensor<B, 2> {
    // An arc that is a point has the only angle 0, whatever it is divided by.
    let divisor = half_angle.clone().detach().clamp_min(f32::MIN_POSITIVE);
    (angle / divisor) * half_angle
}

/// The inner products A, B, C, D of the frames of every two arcs, each \[P, P\].
#[derive(Clone)]
struct FrameProducts<B: Backend> {
    a: Tensor<B, 2>,
    b: Tensor<B, 2>,
    c: Tensor<B, 2>,
    d: Tensor<B, 2>,
}

impl<B: Backend> FrameProducts<B> {
    fn detached(&self) -> Self {
        Self {
            a: self.a.clone().detach(),
            b: self.b.clone().detach(),
            c: self.c.clone().detach(),
            d: self.d.clone().detach(),
        }
    }

    /// f(θ, ψ), the inner product of point θ of arc i and point ψ of arc j; all \[P, P\].
    fn between(self, theta: Tensor<B, 2>, psi: Tensor<B, 2>) -> Tensor<B, 2> {
        let (cos, sin) = (psi.clone().cos(), psi.sin());
        let with_middle = self.a * cos.clone() + self.b * sin.clone();
        let with_along = self.c * cos + self.d * sin;
        with_middle * theta.clone().cos() + with_along * theta.sin()
    }

    /// The angles θ and ψ of the closest points of every two arcs, each \[P, P\], from half the
    /// angles of the arcs \[P, 1\].
    fn nearest(self, half_angle: Tensor<B, 2>) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let half_i = half_angle.clone();
        let half_j = half_angle.transpose();

        let (value, end, opposite) = self.nearest_to_ends(half_i.clone());
        // The frames' products are symmetric in i and j, so the edges at the ends of arc j are
        // those at the ends of arc i, transposed.
        let at_end_of_i = value.clone().greater_equal(value.transpose());
        let theta = opposite
            .clone()
            .transpose()
            .mask_where(at_end_of_i.clone(), end.clone());
        let psi = end.transpose().mask_where(at_end_of_i, opposite);

        let u = angle(
            self.c.clone() - self.b.clone(),
            self.a.clone() + self.d.clone(),
        );
        let v = angle(self.b + self.c, self.a - self.d);
        let free_theta = (v.clone() + u.clone()).mul_scalar(0.5);
        let free_psi = (v - u).mul_scalar(0.5);
        let inside = free_theta
            .clone()
            .abs()
            .lower_equal(half_i)
            .bool_and(free_psi.clone().abs().lower_equal(half_j));
        (
            theta.mask_where(inside.clone(), free_theta),
            psi.mask_where(inside, free_psi),
        )
    }

    /// For the nearer end of arc i and the point of arc j that is nearest to it: their inner
    /// product and their angles θ = ±hᵢ and ψ, each \[P, P\].
    fn nearest_to_ends(&self, half_i: Tensor<B, 2>) -> (Tensor<B, 2>, Tensor<B, 2>, Tensor<B, 2>) {
        let (cos, sin) = (half_i.clone().cos(), half_i.clone().sin());
        let half_j = half_i.clone().transpose();
        let (p_middle, q_middle) = (self.a.clone() * cos.clone(), self.b.clone() * cos);
        let (p_along, q_along) = (self.c.clone() * sin.clone(), self.d.clone() * sin);
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
        let theta = half_i.expand(value.shape()).mask_where(
            other_is_nearer.clone(),
            half_j.transpose().neg().expand(value.shape()),
        );
        (
            value.mask_where(other_is_nearer.clone(), other_value),
            theta,
            psi.mask_where(other_is_nearer, other_psi),
        )
    }
}

/// atan2(y, x), defined at (0, 0) on every device.
fn angle<B: Backend>(y: Tensor<B, 2>, x: Tensor<B, 2>) -> Tensor<B, 2> {
    // WGSL leaves atan2(0, 0) open; this changes no x but 0.
    y.atan2(x.add_scalar(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use proptest::prelude::*;

    fn distances<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
        Arcs::between_neighbours(rows).distances()
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
    fn squared_end_distances_agree_with_plain_differences() {
        for kind in Kind::ALL {
            let rows = kind.rows(8, 64, 6);
            let actual = values(
                Arcs::between_neighbours(tensor::<TestBackend>(&rows)).squared_end_distances(),
            );
            let rows = widened(&rows);
            let end = |k: usize| {
                if k < 8 {
                    &rows[2 * k]
                } else {
                    &rows[2 * (k - 8) + 1]
                }
            };
            for k in 0..16 {
                for l in 0..16 {
                    let expected = point_distance(end(k), end(l)).powi(2);
                    assert!(
                        (actual[16 * k + l] - expected).abs() < 3e-7,
                        "{kind:?}, {k}, {l}"
                    );
                }
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
