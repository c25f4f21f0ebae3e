//! The kernel that adds the products of parts, and its launch.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as BurnTensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::PartProducts;
use crate::kernels::differentiable;
use crate::kernels::entry::entry;
use crate::kernels::launch::{Kernel, like, primitive, tensor};

/// The ratio of the units of two consecutive levels, 2⁻¹².
const NEXT: f32 = 1.0 / 4096.0;
/// The unit of the first level, 2⁻²².
const FIRST: f32 = 1.0 / 4_194_304.0;

/// The sum of the levels of a number.
#[cube]
fn sum_of_levels_of(first: f32, second: f32, third: f32) -> f32 {
    (first + (second + third * NEXT) * NEXT) * FIRST
}

/// The levels of the product of two rows.
#[derive(CubeType, Clone, Copy)]
struct Levels {
    first: f32,
    second: f32,
    third: f32,
}

#[cube]
fn levels(
    hh: &Tensor<f32>,
    hm: &Tensor<f32>,
    mm: &Tensor<f32>,
    hl: &Tensor<f32>,
    i: usize,
    j: usize,
) -> Levels {
    Levels {
        first: entry(hh, i, j),
        second: entry(hm, i, j) + entry(hm, j, i),
        third: entry(mm, i, j) + (entry(hl, i, j) + entry(hl, j, i)),
    }
}

/// One product per unit, and the distance if both rows are middles.
#[cube(launch, address_type = "dynamic")]
fn add_levels(
    hh: &Tensor<f32>,
    hm: &Tensor<f32>,
    mm: &Tensor<f32>,
    hl: &Tensor<f32>,
    products: &mut Array<f32>,
    squared_middle_distances: &mut Array<f32>,
    pairs: usize,
) {
    let rows = 2 * pairs;
    if ABSOLUTE_POS >= rows * rows {
        terminate!();
    }
    let (i, j) = (ABSOLUTE_POS / rows, ABSOLUTE_POS % rows);
    let product = levels(hh, hm, mm, hl, i, j);
    products[ABSOLUTE_POS] = sum_of_levels_of(product.first, product.second, product.third);
    if i < pairs && j < pairs {
        let of_i = levels(hh, hm, mm, hl, i, i);
        let of_j = levels(hh, hm, mm, hl, j, j);
        // Equal terms cancel in each level.
        squared_middle_distances[i * pairs + j] = sum_of_levels_of(
            of_i.first + of_j.first - product.first * 2.0,
            of_i.second + of_j.second - product.second * 2.0,
            of_i.third + of_j.third - product.third * 2.0,
        );
    }
}

#[derive(Clone)]
struct SumOfLevels;

impl Kernel<4, 2> for SumOfLevels {
    fn launch<R: CubeRuntime>(self, [hh, hm, mm, hl]: [CubeTensor<R>; 4]) -> [CubeTensor<R>; 2] {
        let [rows, _] = hh.meta.shape().dims();
        let pairs = rows / 2;
        let client = hh.client.clone();
        let products = like(&hh, [rows, rows], DType::F32);
        let squared_middle_distances = like(&hh, [pairs, pairs], DType::F32);
        let cube_dim = CubeDim::new(&client, rows * rows);
        let address = [&hh, &hm, &mm, &hl, &products]
            .map(|tensor| tensor.required_address_type())
            .into_iter()
            .max();
        add_levels::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, rows * rows, cube_dim),
            cube_dim,
            address.expect("there are five"),
            hh.into_tensor_arg(),
            hm.into_tensor_arg(),
            mm.into_tensor_arg(),
            hl.into_tensor_arg(),
            products.clone().into_array_arg(),
            squared_middle_distances.clone().into_array_arg(),
            pairs,
        );
        [products, squared_middle_distances]
    }
}

pub(super) fn sum_of_levels<B: Backend>(
    products: PartProducts<B>,
) -> Option<[BurnTensor<B, 2>; 2]> {
    let PartProducts { hh, hm, mm, hl } = products;
    let inputs = [hh, hm, mm, hl];
    let [rows, _] = inputs[0].dims();
    if rows < 2 || inputs.iter().any(|tensor| tensor.dtype() != DType::F32) {
        return None;
    }
    let results = differentiable::constant::<B, 4, 2>(inputs.map(primitive), SumOfLevels)?;
    Some(results.map(tensor))
}
