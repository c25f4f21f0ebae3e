//! The kernel that compares every two segments.

use cubecl::prelude::*;

use super::coefficients::{Coefficients, store};
use super::lengths::{length_of_square, reciprocal_or_zero};
use crate::kernels::entry::entry;

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

/// One pair of segments per unit: the distance and its [`Coefficients`].
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
    let (t_of_row, t_of_column) = (pairs + row, pairs + column);
    let square_i = entry(products, t_of_row, t_of_row);
    let square_j = entry(products, t_of_column, t_of_column);
    let compared = Products {
        tt: entry(products, t_of_row, t_of_column),
        along_i: entry(products, row, t_of_row) - entry(products, t_of_row, column),
        along_j: entry(products, row, t_of_column) - entry(products, column, t_of_column),
        square_i,
        square_j,
        per_i: reciprocal_or_zero(square_i),
        per_j: reciprocal_or_zero(square_j),
        middles: entry(squared_middle_distances, row, column),
    };
    let points = nearest(compared);

    let distance = length_of_square(points.square);
    // The half of ½ ∂g is (p − q)·dp, with p = m + λ t.
    let own_m = reciprocal_or_zero(distance);
    let own_t = own_m * points.lambda;
    values[ABSOLUTE_POS] = distance;
    let derivative = Coefficients {
        mm: -own_m,
        mt: -own_m * points.mu,
        tm: -own_t,
        tt: -own_t * points.mu,
        own_mm: own_m,
        own_mt: own_t,
        own_tt: own_t * points.lambda,
    };
    store(derivative, coefficients, entries, ABSOLUTE_POS);
}
