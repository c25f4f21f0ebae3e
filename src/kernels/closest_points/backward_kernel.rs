//! The kernel for the gradient of the inner products, and its launch.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::coefficients::load;
use crate::kernels::entry::entry;
use crate::kernels::launch::like;
use crate::kernels::sum_of_cube::sum_of_cube;

/// Units of a cube, at least and at most.
const UNITS: [usize; 2] = [32, 256];

/// The gradients of the products of one row's frame, per cube. Entry (i, j) of the measure depends on row i by the
/// coefficients of (i, j), and entry (j, i) does too.
#[cube(launch, address_type = "dynamic")]
fn product_gradients(
    gradient: &Tensor<f32>,
    coefficients: &Array<f32>,
    products: &mut Array<f32>,
    pairs: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS_X as usize;
    let entries = pairs * pairs;
    let (of_m, of_t) = (row * 2 * pairs, (pairs + row) * 2 * pairs);
    let mut own_mm = Vector::<f32, Const<1>>::new(0.0);
    let mut own_mt = Vector::<f32, Const<1>>::new(0.0);
    let mut own_tt = Vector::<f32, Const<1>>::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < pairs {
        let both = entry(gradient, row, column) + entry(gradient, column, row);
        let factors = load(coefficients, entries, row * pairs + column);
        own_mm += Vector::new(both * factors.own_mm);
        own_mt += Vector::new(both * factors.own_mt);
        own_tt += Vector::new(both * factors.own_tt);
        // The first unit adds the sums to the products of the row with itself.
        if column != row {
            products[of_m + column] = both * factors.mm;
            products[of_m + pairs + column] = both * factors.mt;
            products[of_t + column] = both * factors.tm;
            products[of_t + pairs + column] = both * factors.tt;
        }
        column += units;
    }
    let own_mm = sum_of_cube::<Const<1>>(own_mm, 1usize, units);
    let own_mt = sum_of_cube::<Const<1>>(own_mt, 1usize, units);
    let own_tt = sum_of_cube::<Const<1>>(own_tt, 1usize, units);
    if UNIT_POS == 0 {
        let both = entry(gradient, row, row) * 2.0;
        let factors = load(coefficients, entries, row * pairs + row);
        products[of_m + row] = both * factors.mm + own_mm[0];
        products[of_m + pairs + row] = both * factors.mt + own_mt[0];
        products[of_t + row] = both * factors.tm + own_mt[0];
        products[of_t + pairs + row] = both * factors.tt + own_tt[0];
    }
}

/// The gradient of the products `[2P, 2P]`, from the coefficients `[7, P, P]` and the gradient of the measure `[P, P]`.
pub(super) fn gradient_of_products<R: CubeRuntime>(
    coefficients: CubeTensor<R>,
    gradient: CubeTensor<R>,
) -> CubeTensor<R> {
    let [pairs, _] = gradient.meta.shape().dims();
    let client = gradient.client.clone();
    let address = gradient
        .required_address_type()
        .max(coefficients.required_address_type());
    let products = like(&gradient, [2 * pairs, 2 * pairs], DType::F32);
    let [least, most] = UNITS;
    let units = pairs.next_power_of_two().clamp(least, most);
    product_gradients::launch::<R>(
        &client,
        CubeCount::Static(pairs as u32, 1, 1),
        CubeDim::new_2d(1, units as u32),
        address,
        gradient.into_tensor_arg(),
        coefficients.into_array_arg(),
        products.clone().into_array_arg(),
        pairs,
        units,
    );
    products
}
