//! The kernels for the gradient of rows from that of their inner products, and the launches.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as BurnTensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::kernel::slice;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::RowGradient;
use crate::kernels::differentiable::{self, Computed, Differentiable};
use crate::kernels::entry::entry;
use crate::kernels::launch::{like, primitive, tensor};

/// The sign, the exponent and the first 7 bits after the point of an f32: those of a bf16.
const EIGHT_BITS: u32 = 0xffff_0000;
/// The inverse of 2¹¹, the unit of h.
const PER_UNIT: f32 = 1.0 / 2048.0;
/// The ratio of the units of two consecutive parts, 2⁻¹².
const NEXT: f32 = 1.0 / 4096.0;

/// The first 8 significant bits. A rounding by arithmetic would depend on how a compiler fuses operations.
#[cube]
fn first_bits(x: f32) -> f32 {
    f32::reinterpret(u32::reinterpret(x) & EIGHT_BITS)
}

/// One number of the gradient per unit, as three numbers of 8 bits whose sum it is: three matrices, one below another.
#[cube(launch, address_type = "dynamic")]
fn split_gradient(gradient: &Tensor<f32>, parts: &mut Array<f32>, rows: usize) {
    let entries = rows * rows;
    if ABSOLUTE_POS >= entries {
        terminate!();
    }
    let (i, j) = (ABSOLUTE_POS / rows, ABSOLUTE_POS % rows);
    let x = entry(gradient, i, j);
    let first = first_bits(x);
    let rest = x - first;
    let second = first_bits(rest);
    parts[ABSOLUTE_POS] = first;
    parts[entries + ABSOLUTE_POS] = second;
    parts[2 * entries + ABSOLUTE_POS] = rest - second;
}

/// One number of the rows' gradient per unit. Smaller parts of G need fewer parts of the rows.
#[cube(launch, address_type = "dynamic")]
fn add_products(
    by_h: &Tensor<f32>,
    by_m: &Tensor<f32>,
    by_l: &Tensor<f32>,
    gradient: &mut Array<f32>,
    rows: usize,
    dim: usize,
) {
    if ABSOLUTE_POS >= rows * dim {
        terminate!();
    }
    let (row, column) = (ABSOLUTE_POS / dim, ABSOLUTE_POS % dim);
    let smallest = entry(by_l, row, column);
    let smaller = entry(by_m, rows + row, column) + entry(by_m, row, column);
    let large = entry(by_h, 2 * rows + row, column)
        + entry(by_h, rows + row, column)
        + entry(by_h, row, column);
    gradient[ABSOLUTE_POS] = (large + (smaller + smallest * NEXT) * NEXT) * PER_UNIT;
}

/// G x.
#[derive(Debug, Clone)]
struct Plain;

impl Differentiable<1, 0, 1> for Plain {
    fn forward<R: CubeRuntime>(
        &self,
        rows: CubeTensor<R>,
        [products]: [CubeTensor<R>; 1],
    ) -> Computed<R, 0, 1> {
        Computed {
            value: products,
            others: [],
            saved: [rows],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [rows]: [CubeTensor<R>; 1],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        product(gradient, rows)
    }
}

/// The parts of G times h, m and l.
#[derive(Debug, Clone)]
struct Split;

impl Differentiable<4, 0, 3> for Split {
    fn forward<R: CubeRuntime>(
        &self,
        _rows: CubeTensor<R>,
        [products, h, m, l]: [CubeTensor<R>; 4],
    ) -> Computed<R, 0, 3> {
        Computed {
            value: products,
            others: [],
            saved: [h, m, l],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [h, m, l]: [CubeTensor<R>; 3],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        let [rows, dim] = h.meta.shape().dims();
        let client = gradient.client.clone();
        let parts = like(&gradient, [3 * rows, rows], DType::F32);
        let cube_dim = CubeDim::new(&client, rows * rows);
        split_gradient::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, rows * rows, cube_dim),
            cube_dim,
            gradient
                .required_address_type()
                .max(parts.required_address_type()),
            gradient.into_tensor_arg(),
            parts.clone().into_array_arg(),
            rows,
        );
        let first = |count: usize| slice(parts.clone(), &[0..count * rows, 0..rows]);
        let by_m = product(first(2), m);
        let by_l = product(first(1), l);
        let by_h = product(parts, h);
        let result = like(&by_h, [rows, dim], DType::F32);
        let cube_dim = CubeDim::new(&client, rows * dim);
        add_products::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, rows * dim, cube_dim),
            cube_dim,
            by_h.required_address_type(),
            by_h.into_tensor_arg(),
            by_m.into_tensor_arg(),
            by_l.into_tensor_arg(),
            result.clone().into_array_arg(),
            rows,
            dim,
        );
        result
    }
}

/// Burn's matrix product.
fn product<R: CubeRuntime>(x: CubeTensor<R>, y: CubeTensor<R>) -> CubeTensor<R> {
    matmul(x, y, None, MatmulStrategy::default(), DType::F32)
        .expect("Burn has a kernel for every product of f32 matrices")
}

pub(super) fn with_row_gradient<B: Backend>(
    products: BurnTensor<B, 2>,
    rows: BurnTensor<B, 2>,
    gradient: RowGradient<B>,
) -> Option<BurnTensor<B, 2>> {
    let [count, dim] = rows.dims();
    let is_f32 = |tensor: &BurnTensor<B, 2>| tensor.dtype() == DType::F32;
    if count == 0 || dim == 0 || !is_f32(&rows) || !is_f32(&products) {
        return None;
    }
    let (rows, products) = (primitive(rows), primitive(products));
    let (value, []) = match gradient {
        RowGradient::Plain => differentiable::compute::<B, 1, 0, 1>(Plain, rows, [products])?,
        RowGradient::Split(parts) => {
            if !parts.iter().all(is_f32) {
                return None;
            }
            let [h, m, l] = parts.map(primitive);
            differentiable::compute::<B, 4, 0, 3>(Split, rows, [products, h, m, l])?
        }
    };
    Some(tensor(value))
}
