//! The kernels of the backward pass, and their launches. They sum columns in the same two steps as the forward pass.

use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::StorageType;
use cubecl::prelude::*;

use super::{Gradients, Parameters, Statistics, Then};
use crate::kernels::division::Division;
use crate::kernels::launch::{self, Kernel, Rows, like, primitive, tensor};
use crate::kernels::sum_of_cube::sum_of_cube;

/// The gradient before the activation: that of the output where the slope is 1, otherwise 0.
#[cube]
fn before_activation<N: Size>(
    z: Vector<f32, N>,
    gradient: Vector<f32, N>,
    #[comptime] then: Then,
) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0);
    if comptime!(then == Then::Relu) {
        select_many(z.greater_than(zero), gradient, zero)
    } else if comptime!(then == Then::Relu6) {
        let below = select_many(z.less_than(Vector::new(6.0)), gradient, zero);
        select_many(z.greater_than(zero), below, zero)
    } else {
        gradient
    }
}

/// Σg and Σg x̂ of each column of each chunk of rows.
#[cube(launch, address_type = "dynamic")]
fn chunk_gradients<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    output_gradient: &Tensor<Vector<E, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    inverse: &Array<Vector<f32, N>>,
    sums: &mut Array<Vector<f32, N>>,
    products: &mut Array<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    x_stride: usize,
    gradient_stride: usize,
    rows_per_chunk: usize,
    #[comptime] then: Then,
    #[comptime] across: usize,
    #[comptime] down: usize,
    #[define(E)] _dtype: StorageType,
) {
    let column = CUBE_POS_X as usize * across + UNIT_POS_X as usize;
    let chunk = CUBE_POS_Y as usize;
    let start = chunk * rows_per_chunk;
    let end = min(start + rows_per_chunk, rows);

    let mut sum = Vector::<f32, N>::new(0.0);
    let mut product = Vector::<f32, N>::new(0.0);
    if column < columns {
        let (weight, bias) = (weight[column], bias[column]);
        let (mean, inverse) = (mean[column], inverse[column]);
        let mut row = start + UNIT_POS_Y as usize;
        while row < end {
            let centred = Vector::<f32, N>::cast_from(x[row * x_stride + column]) - mean;
            let z = centred * (weight * inverse) + bias;
            let gradient = output_gradient[row * gradient_stride + column];
            let gradient = Vector::<f32, N>::cast_from(gradient);
            let gradient = before_activation::<N>(z, gradient, then);
            sum += gradient;
            product += gradient * (centred * inverse);
            row += down;
        }
    }

    let sum = sum_of_cube::<N>(sum, across, down);
    let product = sum_of_cube::<N>(product, across, down);
    if UNIT_POS_Y == 0 && column < columns {
        sums[chunk * columns + column] = sum;
        products[chunk * columns + column] = product;
    }
}

/// The sums of both over the chunks.
#[cube(launch)]
fn total_gradients<N: Size>(
    sums: &Array<Vector<f32, N>>,
    products: &Array<Vector<f32, N>>,
    bias_gradient: &mut Array<Vector<f32, N>>,
    weight_gradient: &mut Array<Vector<f32, N>>,
    columns: usize,
    chunks: usize,
    #[comptime] across: usize,
    #[comptime] down: usize,
) {
    let column = CUBE_POS_X as usize * across + UNIT_POS_X as usize;
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut product = Vector::<f32, N>::new(0.0);
    if column < columns {
        let mut chunk = UNIT_POS_Y as usize;
        while chunk < chunks {
            sum += sums[chunk * columns + column];
            product += products[chunk * columns + column];
            chunk += down;
        }
    }
    let sum = sum_of_cube::<N>(sum, across, down);
    let product = sum_of_cube::<N>(product, across, down);
    if UNIT_POS_Y == 0 && column < columns {
        bias_gradient[column] = sum;
        weight_gradient[column] = product;
    }
}

/// γ/√(σ² + ε) · (g − ∂β/L − x̂ ∂γ/L).
#[cube(launch, address_type = "dynamic")]
fn input_gradients<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    output_gradient: &Tensor<Vector<E, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    inverse: &Array<Vector<f32, N>>,
    bias_gradient: &Array<Vector<f32, N>>,
    weight_gradient: &Array<Vector<f32, N>>,
    x_gradient: &mut Array<Vector<E, N>>,
    vectors: usize,
    columns: usize,
    x_stride: usize,
    gradient_stride: usize,
    share: f32,
    #[comptime] then: Then,
    #[define(E)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let column = ABSOLUTE_POS % columns;
    let inverse = inverse[column];
    let scale = weight[column] * inverse;
    let share = Vector::<f32, N>::new(share);
    let row = ABSOLUTE_POS / columns;
    let centred = Vector::<f32, N>::cast_from(x[row * x_stride + column]) - mean[column];
    let gradient = output_gradient[row * gradient_stride + column];
    let gradient = Vector::<f32, N>::cast_from(gradient);
    let gradient = before_activation::<N>(centred * scale + bias[column], gradient, then);
    let slope = weight_gradient[column] * inverse * share;
    let offset = bias_gradient[column] * share;
    x_gradient[ABSOLUTE_POS] = Vector::cast_from((gradient - centred * slope - offset) * scale);
}

struct Backward {
    division: Division,
    then: Then,
}

pub(super) fn backward<B: Backend>(
    x: burn::tensor::Tensor<B, 4>,
    output_gradient: burn::tensor::Tensor<B, 4>,
    parameters: &Parameters<B>,
    statistics: &Statistics<B>,
    then: Then,
) -> Option<Gradients<B>> {
    let kernel = Backward {
        division: Division::of_map(x.dims()),
        then,
    };
    let inputs = [
        primitive(x),
        primitive(output_gradient),
        primitive(parameters.weight.clone()),
        primitive(parameters.bias.clone()),
        primitive(statistics.mean.clone()),
        primitive(statistics.inverse.clone()),
    ];
    let [x, weight, bias] = launch::run::<B, 6, 3>(inputs, kernel)?;
    Some(Gradients {
        x: tensor(x),
        weight: tensor(weight),
        bias: tensor(bias),
    })
}

impl Kernel<6, 3> for Backward {
    fn launch<R: CubeRuntime>(
        self,
        [x, output_gradient, weight, bias, mean, inverse]: [CubeTensor<R>; 6],
    ) -> [CubeTensor<R>; 3] {
        let Self { division, then } = self;
        let [across, down] = division.units;
        let Rows { map: x, stride } = Rows::new(x, division.vector);
        let Rows {
            map: output_gradient,
            stride: gradient_stride,
        } = Rows::new(output_gradient, division.vector);
        let [weight, bias, mean, inverse] = [weight, bias, mean, inverse].map(into_contiguous);
        let client = x.client.clone();
        let dtype = x.dtype;
        let address = x
            .required_address_type()
            .max(output_gradient.required_address_type());
        let partial = || like(&x, [division.chunks, division.channels()], DType::F32);
        let (sums, products) = (partial(), partial());
        chunk_gradients::launch::<R>(
            &client,
            division.cubes(division.chunks, 1),
            division.cube_dim(),
            address,
            division.vector,
            x.clone().into_tensor_arg(),
            output_gradient.clone().into_tensor_arg(),
            weight.clone().into_array_arg(),
            bias.clone().into_array_arg(),
            mean.clone().into_array_arg(),
            inverse.clone().into_array_arg(),
            sums.clone().into_array_arg(),
            products.clone().into_array_arg(),
            division.rows,
            division.columns,
            stride,
            gradient_stride,
            division.rows_per_chunk,
            then,
            across,
            down,
            dtype.into(),
        );
        let of_channels = || like(&x, [division.channels()], DType::F32);
        let (bias_gradient, weight_gradient) = (of_channels(), of_channels());
        total_gradients::launch::<R>(
            &client,
            division.cubes(1, 1),
            division.cube_dim(),
            division.vector,
            sums.into_array_arg(),
            products.into_array_arg(),
            bias_gradient.clone().into_array_arg(),
            weight_gradient.clone().into_array_arg(),
            division.columns,
            division.chunks,
            across,
            down,
        );
        let x_gradient = like(&x, x.meta.shape().clone(), dtype);
        let vectors = division.vectors();
        let cube_dim = CubeDim::new(&client, vectors);
        input_gradients::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, vectors, cube_dim),
            cube_dim,
            address,
            division.vector,
            x.into_tensor_arg(),
            output_gradient.into_tensor_arg(),
            weight.into_array_arg(),
            bias.into_array_arg(),
            mean.into_array_arg(),
            inverse.into_array_arg(),
            bias_gradient.clone().into_array_arg(),
            weight_gradient.clone().into_array_arg(),
            x_gradient.clone().into_array_arg(),
            vectors,
            division.columns,
            stride,
            gradient_stride,
            1.0 / division.rows as f32,
            then,
            dtype.into(),
        );
        [x_gradient, weight_gradient, bias_gradient]
    }
}
