//! The kernel that compares every two segments.

use cubecl::prelude::*;

use super::lengths::{length_of_square, reciprocal_or_zero};

/// The inner products of the frames of segments i and j.
#[derive(CubeType, Clone, Copy)]
struct Products {
    /// tᵢ·tⱼ.
    tt: f32,
    /// (mᵢ − mⱼ)·tᵢ.
    along_i: f32,
    /// (mᵢ − mⱼ)·tⱼ.
    along_j: f32,
    /// |tᵢ|².
    square_i: f32,
    /// |tⱼ|².
    square_j: f32,
    /// 1/|tᵢ|²; 0 for a point.
    per_i: f32,
    /// 1/|tⱼ|²; 0 for a point.
    per_j: f32,
    /// |mᵢ − mⱼ|².
    middles: f32,
}

/// Points of both segments and their squared distance.
#[derive(CubeType, Clone, Copy)]
struct Points {
    lambda: f32,
    mu: f32,
    square: f32,
}

/// x, at least −1 and at most 1.
#[cube]
fn clamped(x: f32) -> f32 {
    select(x < -1.0, -1.0, select(x > 1.0, 1.0, x))
}

/// λ of the nearest point to μ.
#[cube]
fn onto_i(products: Products, mu: f32) -> f32 {
    clamped((products.tt * mu - products.along_i) * products.per_i)
}

/// μ of the nearest point to λ.
#[cube]
fn onto_j(products: Products, lambda: f32) -> f32 {
    clamped((products.tt * lambda + products.along_j) * products.per_j)
}

/// |mᵢ + λ tᵢ − mⱼ − μ tⱼ|², computed from the difference of the middles.
#[cube]
fn at(products: Products, lambda: f32, mu: f32) -> Points {
    let of_i = lambda * (lambda * products.square_i + products.along_i * 2.0);
    let of_j = mu * (mu * products.square_j - products.along_j * 2.0);
    Points {
        lambda,
        mu,
        square: products.middles + of_i + of_j - lambda * mu * products.tt * 2.0,
    }
}

/// The nearer of two pairs of points.
#[cube]
fn nearer(one: Points, other: Points) -> Points {
    let is_other = other.square < one.square;
    Points {
        lambda: select(is_other, other.lambda, one.lambda),
        mu: select(is_other, other.mu, one.mu),
        square: select(is_other, other.square, one.square),
    }
}

/// The closest points of segments i and j.
#[cube]
fn nearest(products: Products) -> Points {
    let determinant = products.square_i * products.square_j - products.tt * products.tt;
    let free = (products.tt * products.along_j - products.square_j * products.along_i)
        * reciprocal_or_zero(determinant);
    let mu = onto_j(products, clamped(free));
    let inside = at(products, onto_i(products, mu), mu);
    let first_i = at(products, -1.0, onto_j(products, -1.0));
    let first_j = at(products, onto_i(products, -1.0), -1.0);
    let second_i = at(products, 1.0, onto_j(products, 1.0));
    let second_j = at(products, onto_i(products, 1.0), 1.0);
    let first = nearer(nearer(inside, first_i), first_j);
    nearer(nearer(first, second_i), second_j)
}

/// One pair of segments per unit: the distance, and the coefficients as those of arcs.
#[cube(launch, address_type = "dynamic")]
pub(super) fn compare_segments(
    products: &Tensor<f32>,
    squared_middle_distances: &Tensor<f32>,
    values: &mut Array<f32>,
    coefficients: &mut Array<f32>,
    pairs: usize,
) {
    let entries = pairs * pairs;
    if ABSOLUTE_POS >= entries {
        terminate!();
    }
    let row = ABSOLUTE_POS / pairs;
    let column = ABSOLUTE_POS % pairs;
    let (down, across) = (products.stride(0), products.stride(1));
    let (m_of_i, t_of_i) = (row * down, (pairs + row) * down);
    let (m_of_j, t_of_j) = (column * across, (pairs + column) * across);
    let square_i = products[t_of_i + (pairs + row) * across];
    let square_j = products[(pairs + column) * down + t_of_j];
    let compared = Products {
        tt: products[t_of_i + t_of_j],
        along_i: products[m_of_i + (pairs + row) * across] - products[t_of_i + m_of_j],
        along_j: products[m_of_i + t_of_j] - products[column * down + t_of_j],
        square_i,
        square_j,
        per_i: reciprocal_or_zero(square_i),
        per_j: reciprocal_or_zero(square_j),
        middles: squared_middle_distances[row * squared_middle_distances.stride(0)
            + column * squared_middle_distances.stride(1)],
    };
    let points = nearest(compared);

    let distance = length_of_square(points.square);
    // The half of ½ ∂g is (p − q)·dp, with p = m + λ t.
    let own_m = reciprocal_or_zero(distance);
    let own_t = own_m * points.lambda;
    values[ABSOLUTE_POS] = distance;
    coefficients[ABSOLUTE_POS] = -own_m;
    coefficients[entries + ABSOLUTE_POS] = -own_m * points.mu;
    coefficients[2 * entries + ABSOLUTE_POS] = -own_t;
    coefficients[3 * entries + ABSOLUTE_POS] = -own_t * points.mu;
    coefficients[4 * entries + ABSOLUTE_POS] = own_m;
    coefficients[5 * entries + ABSOLUTE_POS] = own_t;
    coefficients[6 * entries + ABSOLUTE_POS] = own_t * points.lambda;
}
