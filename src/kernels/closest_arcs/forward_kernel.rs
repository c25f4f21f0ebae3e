//! The kernel that compares every two arcs, and its launch.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as BurnTensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::backward_kernel;
use super::search::{
    Extent, Points, Products, extent, length_of_square, nearest, reciprocal_or_zero, seen_from_m,
    seen_from_t,
};
use super::{Approach, ArcProducts};
use crate::kernels::differentiable::{self, Computed, Differentiable};
use crate::kernels::launch::{like, primitive, tensor};

/// The matrices of coefficients of [`compare_arcs`].
pub(super) const COEFFICIENTS: usize = 7;

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

/// One pair of arcs per unit: the measure, and the coefficients of row i's half of its derivative. These are
/// [`COEFFICIENTS`] matrices `[P, P]`: those of m·m, m·t, t·m and t·t, then those of m·m, m·t + t·m and t·t of arc i
/// with itself.
#[cube(launch, address_type = "dynamic")]
fn compare_arcs(
    products: &Tensor<f32>,
    squared_middle_distances: &Tensor<f32>,
    values: &mut Array<f32>,
    coefficients: &mut Array<f32>,
    pairs: usize,
    #[comptime] approach: Approach,
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
    let i = extent(
        products[m_of_i + row * across],
        products[t_of_i + (pairs + row) * across],
    );
    let j = extent(
        products[column * down + m_of_j],
        products[(pairs + column) * down + t_of_j],
    );
    let scaled = Products {
        mm: products[m_of_i + m_of_j] * i.per_cos * j.per_cos,
        mt: products[m_of_i + t_of_j] * i.per_cos * j.per_sin,
        tm: products[t_of_i + m_of_j] * i.per_sin * j.per_cos,
        tt: products[t_of_i + t_of_j] * i.per_sin * j.per_sin,
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
    if comptime!(approach == Approach::Distance) {
        let middles = squared_middle_distances[row * squared_middle_distances.stride(0)
            + column * squared_middle_distances.stride(1)];
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
    coefficients[ABSOLUTE_POS] = to_m * of_m;
    coefficients[entries + ABSOLUTE_POS] = to_m * of_t;
    coefficients[2 * entries + ABSOLUTE_POS] = to_t * of_m;
    coefficients[3 * entries + ABSOLUTE_POS] = to_t * of_t;
    // ∂h/∂|m| = −sin h and ∂h/∂|t| = cos h.
    coefficients[4 * entries + ABSOLUTE_POS] = -by_m * (turn * i.sin + part_m * i.per_cos);
    coefficients[5 * entries + ABSOLUTE_POS] = -(to_m * from_t * i.sin + to_t * from_m * i.cos);
    coefficients[6 * entries + ABSOLUTE_POS] = by_t * (turn * i.cos - part_t * i.per_sin);
}

pub(super) fn approach<B: Backend>(
    products: ArcProducts<B>,
    approach: Approach,
) -> Option<BurnTensor<B, 2>> {
    let ArcProducts {
        live,
        fixed,
        squared_middle_distances,
    } = products;
    let tensors = [&live, &fixed, &squared_middle_distances];
    let [pairs, _] = squared_middle_distances.dims();
    if pairs == 0 || tensors.iter().any(|tensor| tensor.dtype() != DType::F32) {
        return None;
    }
    let inputs = [fixed, squared_middle_distances].map(primitive);
    let (value, []) = differentiable::compute::<B, 2, 0, 1>(approach, primitive(live), inputs)?;
    Some(tensor(value))
}

impl Differentiable<2, 0, 1> for Approach {
    fn forward<R: CubeRuntime>(
        &self,
        _live: CubeTensor<R>,
        [products, squared_middle_distances]: [CubeTensor<R>; 2],
    ) -> Computed<R, 0, 1> {
        let [pairs, _] = squared_middle_distances.meta.shape().dims();
        let client = products.client.clone();
        let address = products
            .required_address_type()
            .max(squared_middle_distances.required_address_type());
        let value = like(&products, [pairs, pairs], DType::F32);
        let coefficients = like(&products, [COEFFICIENTS, pairs, pairs], DType::F32);
        let cube_dim = CubeDim::new(&client, pairs * pairs);
        compare_arcs::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, pairs * pairs, cube_dim),
            cube_dim,
            address.max(coefficients.required_address_type()),
            products.into_tensor_arg(),
            squared_middle_distances.into_tensor_arg(),
            value.clone().into_array_arg(),
            coefficients.clone().into_array_arg(),
            pairs,
            *self,
        );
        Computed {
            value,
            others: [],
            saved: [coefficients],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [coefficients]: [CubeTensor<R>; 1],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        backward_kernel::gradient_of_products(coefficients, gradient)
    }
}
