//! The closest points of two arcs, as `geometry::arcs` describes them.

use cubecl::prelude::*;

use super::lengths::{length_of_square, reciprocal_or_zero};

/// The half angle h of an arc.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Extent {
    /// cos h = |m|.
    pub(super) cos: f32,
    /// sin h = |t|.
    pub(super) sin: f32,
    /// 1/cos h; 0 if m has no direction.
    pub(super) per_cos: f32,
    /// 1/sin h; 0 if t has no direction.
    pub(super) per_sin: f32,
}

/// The extent of an arc, from |m|² and |t|².
#[cube]
pub(super) fn extent(mm: f32, tt: f32) -> Extent {
    let cos = length_of_square(mm);
    let sin = length_of_square(tt);
    Extent {
        cos,
        sin,
        per_cos: reciprocal_or_zero(cos),
        per_sin: reciprocal_or_zero(sin),
    }
}

/// A, B, C, D: the inner products of the frames of arcs i and j, scaled to unit length.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Products {
    pub(super) mm: f32,
    pub(super) mt: f32,
    pub(super) tm: f32,
    pub(super) tt: f32,
}

/// Points of both arcs.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Points {
    pub(super) cos_theta: f32,
    pub(super) sin_theta: f32,
    pub(super) cos_psi: f32,
    pub(super) sin_psi: f32,
}

/// The best point of one arc for a given point.
#[derive(CubeType, Clone, Copy)]
struct Nearest {
    /// The inner product of both points.
    value: f32,
    cos: f32,
    sin: f32,
}

/// The best points of the edges at the ends of one arc.
#[derive(CubeType, Clone, Copy)]
struct Edge {
    /// The inner product of both points.
    value: f32,
    /// The sine of the end.
    sin_of_end: f32,
    /// The point of the other arc.
    cos: f32,
    sin: f32,
}

/// Whether |angle| ≤ h and cos > 0.
#[cube]
fn contains(extent: Extent, cos: f32, sin: f32) -> bool {
    cos > 0.0 && cos * extent.sin >= sin.abs() * extent.cos
}

/// The largest p cos ψ + q sin ψ on an arc.
#[cube]
fn nearest_to_point(p: f32, q: f32, arc: Extent) -> Nearest {
    let length = (p * p + q * q).sqrt();
    let per_length = reciprocal_or_zero(length);
    let inside = contains(arc, p, q);
    let at_end = p * arc.cos + q.abs() * arc.sin;
    let sin_of_end = select(q < 0.0, -arc.sin, arc.sin);
    Nearest {
        value: select(inside, length, at_end),
        cos: select(inside, p * per_length, arc.cos),
        sin: select(inside, q * per_length, sin_of_end),
    }
}

/// The nearer end of the first arc and the point of the second arc that is nearest to it.
#[cube]
fn nearest_to_ends(products: Products, ends: Extent, other: Extent) -> Edge {
    let p_middle = products.mm * ends.cos;
    let q_middle = products.mt * ends.cos;
    let p_along = products.tm * ends.sin;
    let q_along = products.tt * ends.sin;
    let at_second = nearest_to_point(p_middle + p_along, q_middle + q_along, other);
    let at_first = nearest_to_point(p_middle - p_along, q_middle - q_along, other);
    let first = at_first.value > at_second.value;
    Edge {
        value: select(first, at_first.value, at_second.value),
        sin_of_end: select(first, -ends.sin, ends.sin),
        cos: select(first, at_first.cos, at_second.cos),
        sin: select(first, at_first.sin, at_second.sin),
    }
}

/// The half of the angle of a complex number of this length.
#[cube]
fn half_angle(re: f32, im: f32, length: f32) -> (f32, f32) {
    // The angle of |z| + z is half the angle of z.
    let re = re + length;
    let per_length = reciprocal_or_zero((re * re + im * im).sqrt());
    (re * per_length, im * per_length)
}

/// The only stationary points with cos θ, cos ψ > 0; 0 if there are none.
#[cube]
fn unbounded(products: Products) -> Points {
    let u_re = products.mm + products.tt;
    let u_im = products.tm - products.mt;
    let v_re = products.mm - products.tt;
    let v_im = products.mt + products.tm;
    let re_re = u_re * v_re;
    let im_im = u_im * v_im;
    let re_im = u_re * v_im;
    let im_re = u_im * v_re;
    let theta_re = re_re - im_im;
    let theta_im = re_im + im_re;
    let length = (theta_re * theta_re + theta_im * theta_im).sqrt();
    let (cos_theta, sin_theta) = half_angle(theta_re, theta_im, length);
    let (cos_psi, sin_psi) = half_angle(re_re + im_im, re_im - im_re, length);
    Points {
        cos_theta,
        sin_theta,
        cos_psi,
        sin_psi,
    }
}

/// m·q of the frame of arc i and the point q of arc j.
#[cube]
pub(super) fn seen_from_m(products: Products, points: Points) -> f32 {
    products.mm * points.cos_psi + products.mt * points.sin_psi
}

/// t·q of the frame of arc i and the point q of arc j.
#[cube]
pub(super) fn seen_from_t(products: Products, points: Points) -> f32 {
    products.tm * points.cos_psi + products.tt * points.sin_psi
}

/// The closest points of arcs i and j.
#[cube]
pub(super) fn nearest(products: Products, i: Extent, j: Extent) -> Points {
    let at_i = nearest_to_ends(products, i, j);
    let of_j = Products {
        mm: products.mm,
        mt: products.tm,
        tm: products.mt,
        tt: products.tt,
    };
    let at_j = nearest_to_ends(of_j, j, i);
    let is_i = at_i.value >= at_j.value;
    let best = select(is_i, at_i.value, at_j.value);
    let free = unbounded(products);
    let cosine =
        seen_from_m(products, free) * free.cos_theta + seen_from_t(products, free) * free.sin_theta;
    let inside = contains(i, free.cos_theta, free.sin_theta)
        && contains(j, free.cos_psi, free.sin_psi)
        && cosine >= best;
    Points {
        cos_theta: select(inside, free.cos_theta, select(is_i, i.cos, at_j.cos)),
        sin_theta: select(
            inside,
            free.sin_theta,
            select(is_i, at_i.sin_of_end, at_j.sin),
        ),
        cos_psi: select(inside, free.cos_psi, select(is_i, at_i.cos, j.cos)),
        sin_psi: select(
            inside,
            free.sin_psi,
            select(is_i, at_i.sin, at_j.sin_of_end),
        ),
    }
}
