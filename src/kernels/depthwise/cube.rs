//! The kernels, and their launches.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::StorageType;
use cubecl::prelude::*;

use crate::kernels::division::Division;
use crate::kernels::launch::{self, Kernel, like, primitive, tensor};
use crate::kernels::sum_of_cube::sum_of_cube;
use crate::kernels::windows::{Taps, Windows, on_map};

/// One vector of channels of the output per unit.
#[cube(launch, address_type = "dynamic")]
fn convolve<E: Float, N: Size>(
    x: &Array<Vector<E, N>>,
    weight: &Array<Vector<E, N>>,
    output: &mut Array<Vector<E, N>>,
    vectors: usize,
    columns: usize,
    input_height: usize,
    input_width: usize,
    output_height: usize,
    output_width: usize,
    #[comptime] windows: Taps,
    #[define(E)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let column = ABSOLUTE_POS % columns;
    let place = ABSOLUTE_POS / columns;
    let left = (place % output_width) * windows.stride;
    let top = (place / output_width % output_height) * windows.stride;
    let image = place / output_width / output_height;
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for tap in 0..windows.kernel * windows.kernel {
        let row = top + tap / windows.kernel;
        let across = left + tap % windows.kernel;
        let position = on_map(image, row, across, input_height, input_width, windows);
        if position.inside {
            sum += Vector::<f32, N>::cast_from(x[position.number * columns + column])
                * Vector::<f32, N>::cast_from(weight[tap * columns + column]);
        }
    }
    output[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// One vector of channels of the input per unit: the sum over the windows that cover it.
#[cube(launch, address_type = "dynamic")]
fn spread<E: Float, N: Size>(
    weight: &Array<Vector<E, N>>,
    output_gradient: &Array<Vector<E, N>>,
    x_gradient: &mut Array<Vector<E, N>>,
    vectors: usize,
    columns: usize,
    input_height: usize,
    input_width: usize,
    output_height: usize,
    output_width: usize,
    #[comptime] windows: Taps,
    #[define(E)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let column = ABSOLUTE_POS % columns;
    let place = ABSOLUTE_POS / columns;
    let across = place % input_width + windows.before[1];
    let down = place / input_width % input_height + windows.before[0];
    let image = place / input_width / input_height;
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for tap in 0..windows.kernel * windows.kernel {
        let (tap_row, tap_column) = (tap / windows.kernel, tap % windows.kernel);
        if down >= tap_row && across >= tap_column {
            let (top, left) = (down - tap_row, across - tap_column);
            let row = top / windows.stride;
            let line = left / windows.stride;
            let is_window = top % windows.stride == 0
                && left % windows.stride == 0
                && row < output_height
                && line < output_width;
            if is_window {
                let position = (image * output_height + row) * output_width + line;
                sum += Vector::<f32, N>::cast_from(output_gradient[position * columns + column])
                    * Vector::<f32, N>::cast_from(weight[tap * columns + column]);
            }
        }
    }
    x_gradient[ABSOLUTE_POS] = Vector::cast_from(sum);
}

/// The sums of the products of input and gradient over a chunk of windows, for one tap per cube along z.
#[cube(launch, address_type = "dynamic")]
fn chunk_products<E: Float, N: Size>(
    x: &Array<Vector<E, N>>,
    output_gradient: &Array<Vector<E, N>>,
    sums: &mut Array<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    rows_per_chunk: usize,
    input_height: usize,
    input_width: usize,
    output_height: usize,
    output_width: usize,
    #[comptime] windows: Taps,
    #[comptime] across: usize,
    #[comptime] down: usize,
    #[define(E)] _dtype: StorageType,
) {
    let column = CUBE_POS_X as usize * across + UNIT_POS_X as usize;
    let chunk = CUBE_POS_Y as usize;
    let tap = CUBE_POS_Z as usize;
    let start = chunk * rows_per_chunk;
    let end = min(start + rows_per_chunk, rows);
    let mut sum = Vector::<f32, N>::new(0.0);
    if column < columns {
        let mut window = start + UNIT_POS_Y as usize;
        while window < end {
            let left = (window % output_width) * windows.stride + tap % windows.kernel;
            let top =
                (window / output_width % output_height) * windows.stride + tap / windows.kernel;
            let image = window / output_width / output_height;
            let position = on_map(image, top, left, input_height, input_width, windows);
            if position.inside {
                sum += Vector::<f32, N>::cast_from(x[position.number * columns + column])
                    * Vector::<f32, N>::cast_from(output_gradient[window * columns + column]);
            }
            window += down;
        }
    }
    let sum = sum_of_cube::<N>(sum, across, down);
    if UNIT_POS_Y == 0 && column < columns {
        let row = chunk * (windows.kernel * windows.kernel) + tap;
        sums[row * columns + column] = sum;
    }
}

struct Convolve(Windows);

pub(super) fn forward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    let inputs = [primitive(x), primitive(weight)];
    let [output] = launch::run::<B, 2, 1>(inputs, Convolve(windows))?;
    Some(tensor(output))
}

impl Kernel<2, 1> for Convolve {
    fn launch<R: CubeRuntime>(self, [x, weight]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let Self(windows) = self;
        let [x, weight] = [x, weight].map(into_contiguous);
        let [images, _, _, channels] = x.meta.shape().dims();
        let [height, width] = windows.output;
        let output = like(&x, [images, height, width, channels], x.dtype);
        let division = Division::new(images * height * width, channels);
        let (client, vectors) = (x.client.clone(), division.vectors());
        let cube_dim = CubeDim::new(&client, vectors);
        let address = x
            .required_address_type()
            .max(output.required_address_type());
        convolve::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, vectors, cube_dim),
            cube_dim,
            address,
            division.vector,
            x.into_array_arg(),
            weight.into_array_arg(),
            output.clone().into_array_arg(),
            vectors,
            division.columns,
            windows.input[0],
            windows.input[1],
            height,
            width,
            windows.into(),
            output.dtype.into(),
        );
        [output]
    }
}

struct Spread(Windows);

pub(super) fn x_gradient<B: Backend>(
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    let inputs = [primitive(weight), primitive(output_gradient)];
    let [x_gradient] = launch::run::<B, 2, 1>(inputs, Spread(windows))?;
    Some(tensor(x_gradient))
}

impl Kernel<2, 1> for Spread {
    fn launch<R: CubeRuntime>(
        self,
        [weight, output_gradient]: [CubeTensor<R>; 2],
    ) -> [CubeTensor<R>; 1] {
        let Self(windows) = self;
        let [weight, output_gradient] = [weight, output_gradient].map(into_contiguous);
        let [images, _, _, channels] = output_gradient.meta.shape().dims();
        let [height, width] = windows.input;
        let (shape, dtype) = ([images, height, width, channels], output_gradient.dtype);
        let x_gradient = like(&output_gradient, shape, dtype);
        let division = Division::new(images * height * width, channels);
        let (client, vectors) = (weight.client.clone(), division.vectors());
        let cube_dim = CubeDim::new(&client, vectors);
        let address = x_gradient
            .required_address_type()
            .max(output_gradient.required_address_type());
        spread::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, vectors, cube_dim),
            cube_dim,
            address,
            division.vector,
            weight.into_array_arg(),
            output_gradient.into_array_arg(),
            x_gradient.clone().into_array_arg(),
            vectors,
            division.columns,
            height,
            width,
            windows.output[0],
            windows.output[1],
            windows.into(),
            dtype.into(),
        );
        [x_gradient]
    }
}

struct Products(Windows);

pub(super) fn weight_gradient<B: Backend>(
    x: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    let (k, channels) = (windows.kernel, x.dims()[3]);
    let inputs = [primitive(x), primitive(output_gradient)];
    let [sums] = launch::run::<B, 2, 1>(inputs, Products(windows))?;
    let sums: Tensor<B, 2> = tensor(sums);
    Some(sums.sum_dim(0).reshape([k, k, 1, channels]))
}

impl Kernel<2, 1> for Products {
    fn launch<R: CubeRuntime>(
        self,
        [x, output_gradient]: [CubeTensor<R>; 2],
    ) -> [CubeTensor<R>; 1] {
        let Self(windows) = self;
        let [x, output_gradient] = [x, output_gradient].map(into_contiguous);
        let [images, height, width, channels] = output_gradient.meta.shape().dims();
        let division = Division::new(images * height * width, channels);
        let [across, down] = division.units;
        let taps = windows.kernel * windows.kernel;
        let sums = like(&x, [division.chunks, taps * channels], DType::F32);
        let client = x.client.clone();
        let address = x
            .required_address_type()
            .max(output_gradient.required_address_type());
        let dtype = x.dtype;
        chunk_products::launch::<R>(
            &client,
            division.cubes(division.chunks, taps),
            division.cube_dim(),
            address,
            division.vector,
            x.into_array_arg(),
            output_gradient.into_array_arg(),
            sums.clone().into_array_arg(),
            division.rows,
            division.columns,
            division.rows_per_chunk,
            windows.input[0],
            windows.input[1],
            height,
            width,
            windows.into(),
            across,
            down,
            dtype.into(),
        );
        [sums]
    }
}
