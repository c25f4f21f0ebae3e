//! The kernel that compares every two arcs.

use cubecl::prelude::*;

use super::arc_search::{Extent, Points, Products, extent, nearest, seen_from_m, seen_from_t};
use super::coefficients::{Coefficients, store};
use super::lengths::{length_of_square, reciprocal_or_zero};
use crate::kernels::entry::entry;

/// The squared distance of the points, without the cancellation of large terms for near points.
#[cube]
fn squared_distance(
    products: Products,
    points: Points,
    i: Extent,
    j: Extent,
    squared_middle_distance: f32,
) -> f32 {
    let a_of_i = points.cos_theta * i.per_cos;
    let a_of_j = points.cos_psi * j.per_cos;
    let longer = points.cos_theta * i.cos - points.cos_psi * j.cos;
    let middles = a_of_i * a_of_j * squared_middle_distance + (a_of_i - a_of_j) * longer;
    let along = points.sin_theta * points.sin_theta + points.sin_psi * points.sin_psi;
    let across = points.sin_theta * points.cos_psi * products.tm
        + points.sin_psi * points.cos_theta * products.mt
        + points.sin_theta * points.sin_psi * products.tt;
    middles + along - across * 2.0
}

/// One pair of arcs per unit: the measure and its [`Coefficients`].
#[cube(launch, address_type = "dynamic")]
pub(super) fn compare_arcs(
    products: &Tensor<f32>,
    squared_middle_distances: &Tensor<f32>,
    values: &mut Array<f32>,
    coefficients: &mut Array<f32>,
    pairs: usize,
    #[comptime] is_distance: bool,
) {
    let entries = pairs * pairs;
    if ABSOLUTE_POS >= entries {
        terminate!();
    }
    let row = ABSOLUTE_POS / pairs;
    let column = ABSOLUTE_POS % pairs;
    let (t_of_row, t_of_column) = (pairs + row, pairs + column);
    let i = extent(
        entry(products, row, row),
        entry(products, t_of_row, t_of_row),
    );
    let j = extent(
        entry(products, column, column),
        entry(products, t_of_column, t_of_column),
    );
    let scaled = Products {
        mm: entry(products, row, column) * i.per_cos * j.per_cos,
        mt: entry(products, row, t_of_column) * i.per_cos * j.per_sin,
        tm: entry(products, t_of_row, column) * i.per_sin * j.per_cos,
        tt: entry(products, t_of_row, t_of_column) * i.per_sin * j.per_sin,
    };
    let points = nearest(scaled, i, j);

    let from_m = seen_from_m(scaled, points);
    let from_t = seen_from_t(scaled, points);
    let part_m = points.cos_theta * from_m;
    let part_t = points.sin_theta * from_t;
    // An end θ = ±h moves with h. At any other best θ, ∂f/∂θ is 0 and the factor has no effect.
    let side = points.sin_theta * i.per_sin;
    let turn = side * (points.cos_theta * from_t - points.sin_theta * from_m);

    let mut value = part_m + part_t;
    let mut by_cosine = f32::new(1.0);
    if comptime!(is_distance) {
        let middles = entry(squared_middle_distances, row, column);
        value = length_of_square(squared_distance(scaled, points, i, j, middles));
        by_cosine = -reciprocal_or_zero(value);
    }
    let by_m = by_cosine * i.per_cos;
    let by_t = by_cosine * i.per_sin;
    let to_m = by_m * points.cos_theta;
    let to_t = by_t * points.sin_theta;
    let of_m = points.cos_psi * j.per_cos;
    let of_t = points.sin_psi * j.per_sin;

    values[ABSOLUTE_POS] = value;
    let derivative = Coefficients {
        mm: to_m * of_m,
        mt: to_m * of_t,
        tm: to_t * of_m,
        tt: to_t * of_t,
        // ∂h/∂|m| = −sin h and ∂h/∂|t| = cos h.
        own_mm: -by_m * (turn * i.sin + part_m * i.per_cos),
        own_mt: -(to_m * from_t * i.sin + to_t * from_m * i.cos),
        own_tt: by_t * (turn * i.cos - part_t * i.per_sin),
    };
    store(derivative, coefficients, entries, ABSOLUTE_POS);
}
