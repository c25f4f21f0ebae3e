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
//! θ = (v + u)/2, ψ = (v − u)/2, and at both shifted by π; at one of them shifted it has its minimum.
//! As h ≤ π/2, only the shift with cos θ, cos ψ ≥ 0 can be in the box. Where it is outside, the
//! maximum is on one of the four edges, on which f = p cos ψ + q sin ψ: the nearest point is
//! atan2(q, p) clamped to ±h, the box being symmetric about 0. Angles are kept as cosines and sines,
//! so that all of this is square roots: quicker than trigonometry, and on GPUs more exact. No
//! tolerance, no multiplier test, no sentinel.
//!
//! **Gradient.** The angles are found without gradient and kept as *fractions* θ/hᵢ, ψ/hⱼ; the
//! derivative is that of f with m, t and h as functions of the embeddings. By the envelope theorem it
//! is exact, in the interior and at the ends (`envelope.rs` says how it is carried).
//!
//! **Accuracy.** m and t come from sums and differences of embeddings, so an arc of any length down
//! to the rounding of its ends has its frame at full precision, and nothing is divided by sin of a
//! small angle. The distance is not √(2 − 2f), which loses half the digits where arcs are near, but
//! made of |mᵢ − mⱼ|² (`products.rs`). The work is done in `f64` where the device has
//! it and Burn does not fuse operations: distances are then right to 3e-7, and to 1e-5 for arcs
//! within 1e-4 of a half circle, whose planes few digits define. In `f32` they are right to 1e-6
//! where all ends are near one another, else to 5e-6 above 0.1, and to 1e-3 where long arcs touch;
//! less for arcs within 1e-2 of a half circle.
//!
//! **Special cases**, all with finite values and gradients:
//! - x₁ = x₂ (to `f32` rounding): the arc is a point, its gradient is shared evenly by both ends;
//! - x₁ = −x₂ (to `f32` rounding): every half circle between the ends is a shortest path and none is
//!   preferred, so the arc counts as what all of them have in common: its two ends;
//! - arcs that touch: distance 0, gradient 0.

use std::ops::Range;

use burn::tensor::{Bool, Tensor, backend::Backend};

use super::Measure;
use super::envelope::{in_row_chunks, reciprocal_or_zero, with_derivative};
use super::frames::{FrameProducts, Frames, FramesBeside};
use super::lengths::length_of_square;
use super::transpose;

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
    let arcs = Arcs::of(&frames.beside());
    let edges = in_row_chunks(pairs, pairs, |rows| arcs.rows(rows).nearest_to_ends());
    // The products are symmetric in i and j, so the edges at the ends of arc j are those at the ends
    // of arc i, transposed.
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
    let half = frames
        .live
        .clone()
        .weighted_sum(FrameProducts { mm, mt, tm, tt });
    let own = frames.live.own();
    let half = half + own_mm * own.mm + own_mt * (own.mt + own.tm) + own_tt * own.tt;
    with_derivative(value, half.clone(), half, frames.dtype)
}

/// Some rows' arcs beside all arcs, without gradient. R rows, P arcs.
struct Arcs<B: Backend> {
    /// A, B, C, D as m·m, m·t, t·m, t·t of the frames scaled to unit length, \[R, P\].
    products: FrameProducts<B>,
    of_rows: Extents<B>,
    of_columns: Extents<B>,
    /// |mᵢ − mⱼ|² of the frames as they are, \[R, P\].
    middles_apart: Tensor<B, 2>,
}

/// How far arcs reach, \[R, 1\] or \[1, P\].
#[derive(Clone)]
struct Extents<B: Backend> {
    /// cos h, which is |x₁ + x₂|/2.
    cos: Tensor<B, 2>,
    /// sin h, which is |x₂ − x₁|/2.
    sin: Tensor<B, 2>,
    /// 1/cos h; 0 where m has no direction.
    per_cos: Tensor<B, 2>,
    /// 1/sin h; 0 where t has no direction.
    per_sin: Tensor<B, 2>,
}

/// A point of each of two arcs, by the cosines and sines of its angle, each \[R, P\].
#[derive(Clone)]
struct Points<B: Backend> {
    cos_theta: Tensor<B, 2>,
    sin_theta: Tensor<B, 2>,
    cos_psi: Tensor<B, 2>,
    sin_psi: Tensor<B, 2>,
}

impl<B: Backend> Extents<B> {
    fn map(self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            cos: f(self.cos),
            sin: f(self.sin),
            per_cos: f(self.per_cos),
            per_sin: f(self.per_sin),
        }
    }

    /// Whether an angle with 0 < cos is no larger than h: sin(h − |angle|) ≥ 0, which unlike a
    /// comparison of angles or cosines is as exact for short arcs as for half circles.
    fn contain(&self, cos: Tensor<B, 2>, sin: Tensor<B, 2>) -> Tensor<B, 2, Bool> {
        let ahead = cos.clone().greater_elem(0.0);
        let within = (cos * self.sin.clone()).greater_equal(sin.abs() * self.cos.clone());
        ahead.bool_and(within)
    }
}

impl<B: Backend> Arcs<B> {
    /// All arcs beside all arcs, from the inner products of their frames.
    fn of(frames: &FramesBeside<B>) -> Self {
        let FramesBeside {
            products,
            of_rows: own,
            middles_apart,
            ..
        } = frames.clone();
        let (cos, sin) = (length_of_square(own.mm), length_of_square(own.tt));
        let extents = Extents {
            per_cos: reciprocal_or_zero(cos.clone()),
            per_sin: reciprocal_or_zero(sin.clone()),
            cos,
            sin,
        };
        let transposed = extents.clone().map(transpose);
        let scaled = |products: &Tensor<B, 2>, i: &Tensor<B, 2>, j: &Tensor<B, 2>| {
            products.clone() * i.clone() * j.clone()
        };
        Self {
            products: FrameProducts {
                mm: scaled(&products.mm, &extents.per_cos, &transposed.per_cos),
                mt: scaled(&products.mt, &extents.per_cos, &transposed.per_sin),
                tm: scaled(&products.tm, &extents.per_sin, &transposed.per_cos),
                tt: scaled(&products.tt, &extents.per_sin, &transposed.per_sin),
            },
            of_rows: extents,
            of_columns: transposed,
            middles_apart,
        }
    }

    fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            products: self.products.rows(rows.clone()),
            of_rows: self.of_rows.clone().map(|x| x.slice([rows.clone()])),
            of_columns: self.of_columns.clone(),
            middles_apart: self.middles_apart.clone().slice([rows]),
        }
    }

    /// For the nearer end of arc i and the point of arc j that is nearest to it: their inner
    /// product, sin θ of the end (θ = ±hᵢ), cos ψ and sin ψ; each \[R, P\].
    fn nearest_to_ends(&self) -> [Tensor<B, 2>; 4] {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let (cos, sin) = (self.of_rows.cos.clone(), self.of_rows.sin.clone());
        let (p_middle, q_middle) = (mm * cos.clone(), mt * cos);
        let (p_along, q_along) = (tm * sin.clone(), tt * sin.clone());
        let [value, cos_psi, sin_psi] = self.nearest_to_point(
            p_middle.clone() + p_along.clone(),
            q_middle.clone() + q_along.clone(),
        );
        let other = self.nearest_to_point(p_middle - p_along, q_middle - q_along);

        let other_is_nearer = other[0].clone().greater(value.clone());
        let shape = value.shape();
        let sin_theta = sin
            .clone()
            .expand(shape.clone())
            .mask_where(other_is_nearer.clone(), sin.neg().expand(shape));
        let [other_value, other_cos, other_sin] = other;
        [
            value.mask_where(other_is_nearer.clone(), other_value),
            sin_theta,
            cos_psi.mask_where(other_is_nearer.clone(), other_cos),
            sin_psi.mask_where(other_is_nearer, other_sin),
        ]
    }

    /// The largest p cos ψ + q sin ψ on arc j: its value, cos ψ and sin ψ.
    fn nearest_to_point(&self, p: Tensor<B, 2>, q: Tensor<B, 2>) -> [Tensor<B, 2>; 3] {
        let Extents { cos, sin, .. } = self.of_columns.clone();
        let shape = p.shape();
        let length = (p.clone() * p.clone() + q.clone() * q.clone()).sqrt();
        let per_length = reciprocal_or_zero(length.clone());
        let inside = self.of_columns.contain(p.clone(), q.clone());
        let at_end = p.clone() * cos.clone() + q.clone().abs() * sin.clone();
        let sin_of_end = sin
            .clone()
            .expand(shape.clone())
            .mask_where(q.clone().lower_elem(0.0), sin.neg().expand(shape.clone()));
        [
            at_end.mask_where(inside.clone(), length),
            cos.expand(shape)
                .mask_where(inside.clone(), p * per_length.clone()),
            sin_of_end.mask_where(inside, q * per_length),
        ]
    }

    /// The closest points, from the best of the edges at the ends of arc i and at those of arc j:
    /// [`nearest_to_ends`](Self::nearest_to_ends) of (i, j) and of (j, i).
    fn nearest(&self, at_end_of_i: [Tensor<B, 2>; 4], at_end_of_j: [Tensor<B, 2>; 4]) -> Points<B> {
        let [value_i, sin_theta_i, cos_psi_i, sin_psi_i] = at_end_of_i;
        let [value_j, sin_psi_j, cos_theta_j, sin_theta_j] = at_end_of_j;
        let shape = value_i.shape();
        let at_i = value_i.clone().greater_equal(value_j.clone());
        let best = value_j.mask_where(at_i.clone(), value_i);
        let cos_theta_i = self.of_rows.cos.clone().expand(shape.clone());
        let cos_psi_j = self.of_columns.cos.clone().expand(shape);

        let free = self.unbounded();
        let inside = self
            .of_rows
            .contain(free.cos_theta.clone(), free.sin_theta.clone())
            .bool_and(
                self.of_columns
                    .contain(free.cos_psi.clone(), free.sin_psi.clone()),
            )
            .bool_and(self.cosine(&free).greater_equal(best));
        let choose = |at_end_of_i: Tensor<B, 2>, at_end_of_j: Tensor<B, 2>, free| {
            at_end_of_j
                .mask_where(at_i.clone(), at_end_of_i)
                .mask_where(inside.clone(), free)
        };
        Points {
            cos_theta: choose(cos_theta_i, cos_theta_j, free.cos_theta),
            sin_theta: choose(sin_theta_i, sin_theta_j, free.sin_theta),
            cos_psi: choose(cos_psi_i, cos_psi_j, free.cos_psi),
            sin_psi: choose(sin_psi_i, sin_psi_j, free.sin_psi),
        }
    }

    /// The only stationary points with cos θ, cos ψ > 0, a maximum or a minimum of f; 0 where there
    /// are none.
    fn unbounded(&self) -> Points<B> {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        // As complex numbers e^iu and e^iv times their lengths.
        let (u_re, u_im) = (mm.clone() + tt.clone(), tm.clone() - mt.clone());
        let (v_re, v_im) = (mm - tt, mt + tm);
        let (re_re, im_im) = (u_re.clone() * v_re.clone(), u_im.clone() * v_im.clone());
        let (re_im, im_re) = (u_re * v_im, u_im * v_re);
        // Twice θ is v + u, the angle of their product; twice ψ is v − u.
        let (double_theta_re, double_theta_im) =
            (re_re.clone() - im_im.clone(), re_im.clone() + im_re.clone());
        let (double_psi_re, double_psi_im) = (re_re + im_im, re_im - im_re);
        let length = (double_theta_re.clone() * double_theta_re.clone()
            + double_theta_im.clone() * double_theta_im.clone())
        .sqrt();
        // Half the angle of z is that of |z| + z.
        let half = |re: Tensor<B, 2>, im: Tensor<B, 2>| {
            let re = re + length.clone();
            let per_length =
                reciprocal_or_zero((re.clone() * re.clone() + im.clone() * im.clone()).sqrt());
            (re * per_length.clone(), im * per_length)
        };
        let (cos_theta, sin_theta) = half(double_theta_re, double_theta_im);
        let (cos_psi, sin_psi) = half(double_psi_re, double_psi_im);
        Points {
            cos_theta,
            sin_theta,
            cos_psi,
            sin_psi,
        }
    }

    /// f at the points, in parts: m·q and t·q for the point q of arc j.
    fn seen_from_frame(&self, points: &Points<B>) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let (cos, sin) = (points.cos_psi.clone(), points.sin_psi.clone());
        (mm * cos.clone() + mt * sin.clone(), tm * cos + tt * sin)
    }

    /// f at the points.
    fn cosine(&self, points: &Points<B>) -> Tensor<B, 2> {
        let (from_m, from_t) = self.seen_from_frame(points);
        from_m * points.cos_theta.clone() + from_t * points.sin_theta.clone()
    }

    /// The squared distance of the points, with nothing large that cancels where they are near.
    ///
    /// With p = a m + b t, where a = cos θ/|m| and b = sin θ/|t|, and q likewise:
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
        let middles = a_of_i.clone() * a_of_j.clone() * self.middles_apart.clone()
            + (a_of_i - a_of_j) * longer;
        let along = sin_theta.clone() * sin_theta.clone() + sin_psi.clone() * sin_psi.clone();
        let across = sin_theta.clone() * cos_psi * tm
            + sin_psi.clone() * cos_theta * mt
            + sin_theta * sin_psi * tt;
        middles + along - across.mul_scalar(2.0)
    }

    /// The measure of the points, and row i's half of its derivative: the coefficients of m·m, m·t,
    /// t·m, t·t of the unscaled frames, then those of m·m, m·t + t·m and t·t of row i with itself, one
    /// factor of each being live; each \[R, P\].
    fn derivative(&self, points: Points<B>, measure: Measure) -> [Tensor<B, 2>; 8] {
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
        // An end θ = ±h moves with h; at any other best θ, ∂f/∂θ is 0 and the factor does not
        // matter.
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
        // Of the parts along the rows themselves (see `Frames`), E is 0 for what depends on the
        // directions of m and t and on h alone.
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

#[cfg(test)]
mod tests;
