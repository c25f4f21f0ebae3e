//! The kernels for the distances and products of ends, and their launches.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as BurnTensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use crate::kernels::differentiable;
use crate::kernels::entry::entry;
use crate::kernels::launch::{Kernel, like, primitive, tensor};

/// One pair of ends per unit: |mᵢ + τ tᵢ − mⱼ − σ tⱼ|² with τ and σ of −1 for x₁ and 1 for x₂.
#[cube(launch, address_type = "dynamic")]
fn end_distances(
    products: &Tensor<f32>,
    squared_middle_distances: &Tensor<f32>,
    distances: &mut Array<f32>,
    pairs: usize,
) {
    let ends = 2 * pairs;
    if ABSOLUTE_POS >= ends * ends {
        terminate!();
    }
    let (first, second) = (ABSOLUTE_POS / ends, ABSOLUTE_POS % ends);
    let (i, j) = (first % pairs, second % pairs);
    let tau = select(first < pairs, -1.0f32, 1.0f32);
    let sigma = select(second < pairs, -1.0f32, 1.0f32);
    let (t_of_i, t_of_j) = (pairs + i, pairs + j);
    let along_i = entry(products, i, t_of_i) - entry(products, t_of_i, j);
    let along_j = entry(products, i, t_of_j) - entry(products, j, t_of_j);
    let of_i = tau * (tau * entry(products, t_of_i, t_of_i) + along_i * 2.0);
    let of_j = sigma * (sigma * entry(products, t_of_j, t_of_j) - along_j * 2.0);
    let middles = entry(squared_middle_distances, i, j);
    let both = tau * sigma * entry(products, t_of_i, t_of_j);
    distances[ABSOLUTE_POS] = middles + of_i + of_j - both * 2.0;
}

/// One pair of ends per unit: (mᵢ + τ tᵢ)·(mⱼ + σ tⱼ), with τ and σ as for [`end_distances`].
#[cube(launch, address_type = "dynamic")]
fn end_products(products: &Tensor<f32>, of_ends: &mut Array<f32>, pairs: usize) {
    let ends = 2 * pairs;
    if ABSOLUTE_POS >= ends * ends {
        terminate!();
    }
    let (first, second) = (ABSOLUTE_POS / ends, ABSOLUTE_POS % ends);
    let tau = select(first < pairs, -1.0f32, 1.0f32);
    let sigma = select(second < pairs, -1.0f32, 1.0f32);
    let (i, j) = (first % pairs, second % pairs);
    let (t_of_i, t_of_j) = (pairs + i, pairs + j);
    let even = entry(products, i, j) + tau * sigma * entry(products, t_of_i, t_of_j);
    of_ends[ABSOLUTE_POS] =
        even + sigma * entry(products, i, t_of_j) + tau * entry(products, t_of_i, j);
}

#[derive(Clone)]
struct EndDistances;

impl Kernel<2, 1> for EndDistances {
    fn launch<R: CubeRuntime>(
        self,
        [products, squared_middle_distances]: [CubeTensor<R>; 2],
    ) -> [CubeTensor<R>; 1] {
        let [pairs, _] = squared_middle_distances.meta.shape().dims();
        let client = products.client.clone();
        let entries = 4 * pairs * pairs;
        let distances = like(&products, [2 * pairs, 2 * pairs], DType::F32);
        let cube_dim = CubeDim::new(&client, entries);
        let address = products
            .required_address_type()
            .max(squared_middle_distances.required_address_type());
        end_distances::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, entries, cube_dim),
            cube_dim,
            address.max(distances.required_address_type()),
            products.into_tensor_arg(),
            squared_middle_distances.into_tensor_arg(),
            distances.clone().into_array_arg(),
            pairs,
        );
        [distances]
    }
}

pub(super) fn squared_end_distances<B: Backend>(
    products: BurnTensor<B, 2>,
    squared_middle_distances: BurnTensor<B, 2>,
) -> Option<BurnTensor<B, 2>> {
    let [pairs, _] = squared_middle_distances.dims();
    let inputs = [products, squared_middle_distances];
    if pairs == 0 || inputs.iter().any(|tensor| tensor.dtype() != DType::F32) {
        return None;
    }
    let inputs = inputs.map(primitive);
    let [distances] = differentiable::constant::<B, 2, 1>(inputs, EndDistances)?;
    Some(tensor(distances))
}

#[derive(Clone)]
struct EndProducts;

impl Kernel<1, 1> for EndProducts {
    fn launch<R: CubeRuntime>(self, [products]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let [ends, _] = products.meta.shape().dims();
        let client = products.client.clone();
        let of_ends = like(&products, [ends, ends], DType::F32);
        let cube_dim = CubeDim::new(&client, ends * ends);
        let address = products
            .required_address_type()
            .max(of_ends.required_address_type());
        end_products::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, ends * ends, cube_dim),
            cube_dim,
            address,
            products.into_tensor_arg(),
            of_ends.clone().into_array_arg(),
            ends / 2,
        );
        [of_ends]
    }
}

pub(super) fn products_of_ends<B: Backend>(products: BurnTensor<B, 2>) -> Option<BurnTensor<B, 2>> {
    let [ends, _] = products.dims();
    if ends == 0 || products.dtype() != DType::F32 {
        return None;
    }
    let [of_ends] = differentiable::constant::<B, 1, 1>([primitive(products)], EndProducts)?;
    Some(tensor(of_ends))
}
