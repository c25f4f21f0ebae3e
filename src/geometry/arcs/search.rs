//! The closest points of arcs: the maximum of f over the box.

use std::ops::Range;

use burn::tensor::{Bool, Tensor, backend::Backend};

use crate::geometry::envelope::reciprocal_or_zero;
use crate::geometry::frame_products::FrameProducts;
use crate::geometry::frames::FrameComparisons;
use crate::geometry::lengths::length_of_square;

/// R arcs compared with P arcs, without gradient.
pub(super) struct Arcs<B: Backend> {
    /// A, B, C, D as m·m, m·t, t·m, t·t of the frames scaled to unit length, \[R, P\].
    pub(super) products: FrameProducts<B>,
    pub(super) of_rows: Extents<B>,
    pub(super) of_columns: Extents<B>,
    /// |mᵢ − mⱼ|² of the unscaled frames, \[R, P\].
    pub(super) squared_middle_distances: Tensor<B, 2>,
}

/// The half angles of arcs, \[R, 1\] or \[1, P\].
#[derive(Clone)]
pub(super) struct Extents<B: Backend> {
    /// cos h = |x₁ + x₂|/2.
    pub(super) cos: Tensor<B, 2>,
    /// sin h = |x₂ − x₁|/2.
    pub(super) sin: Tensor<B, 2>,
    /// 1/cos h; 0 if m has no direction.
    pub(super) per_cos: Tensor<B, 2>,
    /// 1/sin h; 0 if t has no direction.
    pub(super) per_sin: Tensor<B, 2>,
}

/// A point of each of two arcs, as the cosines and sines of their angles, each \[R, P\].
#[derive(Clone)]
pub(super) struct Points<B: Backend> {
    pub(super) cos_theta: Tensor<B, 2>,
    pub(super) sin_theta: Tensor<B, 2>,
    pub(super) cos_psi: Tensor<B, 2>,
    pub(super) sin_psi: Tensor<B, 2>,
}

impl<B: Backend> Extents<B> {
    /// The extents of arcs, from the products of their frames with themselves.
    fn from_own(own: FrameProducts<B>) -> Self {
        let (cos, sin) = (length_of_square(own.mm), length_of_square(own.tt));
        Self {
            per_cos: reciprocal_or_zero(cos.clone()),
            per_sin: reciprocal_or_zero(sin.clone()),
            cos,
            sin,
        }
    }

    fn map(self, f: impl Fn(Tensor<B, 2>) -> Tensor<B, 2>) -> Self {
        Self {
            cos: f(self.cos),
            sin: f(self.sin),
            per_cos: f(self.per_cos),
            per_sin: f(self.per_sin),
        }
    }

    /// Returns whether |angle| ≤ h and cos > 0. The test is sin(h − |angle|) ≥ 0, which is as exact for
    /// short arcs as for half circles; a comparison of angles or cosines is not.
    fn contain(&self, cos: Tensor<B, 2>, sin: Tensor<B, 2>) -> Tensor<B, 2, Bool> {
        let ahead = cos.clone().greater_elem(0.0);
        let within = (cos * self.sin.clone()).greater_equal(sin.abs() * self.cos.clone());
        ahead.bool_and(within)
    }
}

impl<B: Backend> Arcs<B> {
    /// Compares R arcs with P arcs, from the inner products of their frames.
    pub(super) fn from_frames(frames: &FrameComparisons<B>) -> Self {
        let FrameComparisons {
            products,
            of_rows,
            of_columns,
            squared_middle_distances,
        } = frames.clone();
        let [extents, transposed] = [of_rows, of_columns].map(Extents::from_own);
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
            squared_middle_distances,
        }
    }

    /// The comparisons of some rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            products: self.products.rows(rows.clone()),
            of_rows: self.of_rows.clone().map(|x| x.slice([rows.clone()])),
            of_columns: self.of_columns.clone(),
            squared_middle_distances: self.squared_middle_distances.clone().slice([rows]),
        }
    }

    /// Finds the nearer end of arc i and the point of arc j that is nearest to it. Returns their inner
    /// product, sin θ of the end (θ = ±hᵢ), cos ψ and sin ψ, each \[R, P\].
    pub(super) fn nearest_to_ends(&self) -> [Tensor<B, 2>; 4] {
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

    /// Finds the point of arc j that is nearest to the middle of arc i. Returns cos ψ and sin ψ, each \[R, P\].
    pub(super) fn nearest_to_middles(&self) -> [Tensor<B, 2>; 2] {
        let FrameProducts { mm, mt, .. } = self.products.clone();
        let [_, cos_psi, sin_psi] = self.nearest_to_point(mm, mt);
        [cos_psi, sin_psi]
    }

    /// Returns the largest p cos ψ + q sin ψ on arc j, with cos ψ and sin ψ.
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

    /// Returns the closest points, for the best points of the edges at the ends of arc i and at those
    /// of arc j: [`nearest_to_ends`](Self::nearest_to_ends) of (i, j) and of (j, i).
    pub(super) fn nearest(
        &self,
        at_end_of_i: [Tensor<B, 2>; 4],
        at_end_of_j: [Tensor<B, 2>; 4],
    ) -> Points<B> {
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

    /// Returns the only stationary points with cos θ, cos ψ > 0, a maximum or a minimum of f; 0 if f has
    /// no such point.
    fn unbounded(&self) -> Points<B> {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        // The complex numbers e^iu and e^iv times their lengths.
        let (u_re, u_im) = (mm.clone() + tt.clone(), tm.clone() - mt.clone());
        let (v_re, v_im) = (mm - tt, mt + tm);
        let (re_re, im_im) = (u_re.clone() * v_re.clone(), u_im.clone() * v_im.clone());
        let (re_im, im_re) = (u_re * v_im, u_im * v_re);
        // 2θ = v + u is the angle of their product; 2ψ = v − u.
        let (double_theta_re, double_theta_im) =
            (re_re.clone() - im_im.clone(), re_im.clone() + im_re.clone());
        let (double_psi_re, double_psi_im) = (re_re + im_im, re_im - im_re);
        let length = (double_theta_re.clone() * double_theta_re.clone()
            + double_theta_im.clone() * double_theta_im.clone())
        .sqrt();
        // The angle of |z| + z is half the angle of z.
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

    /// Returns m·q and t·q for the point q of arc j, the parts of f.
    pub(super) fn seen_from_frame(&self, points: &Points<B>) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let FrameProducts { mm, mt, tm, tt } = self.products.clone();
        let (cos, sin) = (points.cos_psi.clone(), points.sin_psi.clone());
        (mm * cos.clone() + mt * sin.clone(), tm * cos + tt * sin)
    }

    /// Returns f at the points.
    fn cosine(&self, points: &Points<B>) -> Tensor<B, 2> {
        let (from_m, from_t) = self.seen_from_frame(points);
        from_m * points.cos_theta.clone() + from_t * points.sin_theta.clone()
    }
}
