//! The kernels of the forward pass, and their launches.
//!
//! A map is a matrix with a row per position and a column per channel, or per vector of channels. The sums of
//! columns are computed in two steps: each cube sums a chunk of rows, and a second kernel adds the chunks, in a
//! fixed order.

use burn::tensor::DType;
use burn::tensor::backend::Backend;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::StorageType;
use cubecl::prelude::*;

use super::{Parameters, Running, Statistics, Then};
use crate::kernels::division::Division;
use crate::kernels::launch::{self, Kernel, Rows, like, primitive, tensor};
use crate::kernels::sum_of_cube::sum_of_cube;

/// The mean, and the sum of squared differences from it, of each column of each chunk of rows.
///
/// Differences from the chunk's first row are summed, so that a mean far from zero costs no digits.
#[cube(launch, address_type = "dynamic")]
fn chunk_moments<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    means: &mut Array<Vector<f32, N>>,
    squares: &mut Array<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    x_stride: usize,
    rows_per_chunk: usize,
    #[comptime] across: usize,
    #[comptime] down: usize,
    #[define(E)] _dtype: StorageType,
) {
    let column = CUBE_POS_X as usize * across + UNIT_POS_X as usize;
    let chunk = CUBE_POS_Y as usize;
    let start = chunk * rows_per_chunk;
    let end = min(start + rows_per_chunk, rows);

    let mut shift = Vector::<f32, N>::new(0.0);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut square = Vector::<f32, N>::new(0.0);
    if column < columns {
        shift = Vector::cast_from(x[start * x_stride + column]);
        let mut row = start + UNIT_POS_Y as usize;
        while row < end {
            let difference = Vector::<f32, N>::cast_from(x[row * x_stride + column]) - shift;
            sum += difference;
            square += difference * difference;
            row += down;
        }
    }

    let sum = sum_of_cube::<N>(sum, across, down);
    let square = sum_of_cube::<N>(square, across, down);
    if UNIT_POS_Y == 0 && column < columns {
        let offset = sum / Vector::new(f32::cast_from((end - start) as u32));
        means[chunk * columns + column] = shift + offset;
        squares[chunk * columns + column] = square - sum * offset;
    }
}

/// The mean and 1 / √(σ² + ε) of each column, from the moments of its chunks, and the running statistics.
#[cube(launch)]
fn total_moments<N: Size>(
    means: &Array<Vector<f32, N>>,
    squares: &Array<Vector<f32, N>>,
    running_mean: &Array<Vector<f32, N>>,
    running_variance: &Array<Vector<f32, N>>,
    mean: &mut Array<Vector<f32, N>>,
    inverse: &mut Array<Vector<f32, N>>,
    new_running_mean: &mut Array<Vector<f32, N>>,
    new_running_variance: &mut Array<Vector<f32, N>>,
    rows: usize,
    columns: usize,
    rows_per_chunk: usize,
    chunks: usize,
    epsilon: f32,
    momentum: f32,
    unbiased: f32,
    #[comptime] across: usize,
    #[comptime] down: usize,
) {
    let column = CUBE_POS_X as usize * across + UNIT_POS_X as usize;
    let mut shift = Vector::<f32, N>::new(0.0);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut square = Vector::<f32, N>::new(0.0);
    if column < columns {
        shift = means[column];
        let mut chunk = UNIT_POS_Y as usize;
        while chunk < chunks {
            let start = chunk * rows_per_chunk;
            let count = min(start + rows_per_chunk, rows) - start;
            let count = Vector::new(f32::cast_from(count as u32));
            let difference = means[chunk * columns + column] - shift;
            sum += count * difference;
            square += squares[chunk * columns + column] + count * difference * difference;
            chunk += down;
        }
    }

    let sum = sum_of_cube::<N>(sum, across, down);
    let square = sum_of_cube::<N>(square, across, down);
    if UNIT_POS_Y == 0 && column < columns {
        let count = Vector::new(f32::cast_from(rows as u32));
        let offset = sum / count;
        let biased = max((square - sum * offset) / count, Vector::new(0.0));
        let batch_mean = shift + offset;
        mean[column] = batch_mean;
        let kept = Vector::new(1.0 - momentum);
        new_running_mean[column] = running_mean[column] * kept + batch_mean * Vector::new(momentum);
        new_running_variance[column] = running_variance[column] * kept
            + biased * Vector::new(unbiased) * Vector::new(momentum);
        inverse[column] = Vector::new(1.0) / (biased + Vector::new(epsilon)).sqrt();
    }
}

/// γ (x − μ)/√(σ² + ε) + β, and the activation.
#[cube(launch, address_type = "dynamic")]
fn normalise<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    inverse: &Array<Vector<f32, N>>,
    output: &mut Array<Vector<E, N>>,
    vectors: usize,
    columns: usize,
    x_stride: usize,
    #[comptime] then: Then,
    #[define(E)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let column = ABSOLUTE_POS % columns;
    let position = ABSOLUTE_POS / columns * x_stride + column;
    let centred = Vector::<f32, N>::cast_from(x[position]) - mean[column];
    let z = centred * (weight[column] * inverse[column]) + bias[column];
    output[ABSOLUTE_POS] = Vector::cast_from(activated::<N>(z, then));
}

/// NaN stays NaN, which a maximum would hide.
#[cube]
fn activated<N: Size>(z: Vector<f32, N>, #[comptime] then: Then) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0);
    if comptime!(then == Then::Relu) {
        select_many(z.less_than(zero), zero, z)
    } else if comptime!(then == Then::Relu6) {
        let six = Vector::<f32, N>::new(6.0);
        select_many(
            z.less_than(zero),
            zero,
            select_many(z.greater_than(six), six, z),
        )
    } else {
        z
    }
}

struct Forward {
    division: Division,
    epsilon: f32,
    momentum: f32,
    then: Then,
}

pub(super) fn forward<B: Backend>(
    x: burn::tensor::Tensor<B, 4>,
    parameters: &Parameters<B>,
    running: Running<B>,
    then: Then,
) -> Option<(burn::tensor::Tensor<B, 4>, Statistics<B>, Running<B>)> {
    let kernel = Forward {
        division: Division::of_map(x.dims()),
        epsilon: parameters.epsilon as f32,
        momentum: running.momentum as f32,
        then,
    };
    let inputs = [
        primitive(x),
        primitive(parameters.weight.clone()),
        primitive(parameters.bias.clone()),
        primitive(running.mean),
        primitive(running.variance),
    ];
    let outputs = launch::run::<B, 5, 5>(inputs, kernel)?;
    let [output, mean, inverse, running_mean, running_variance] = outputs;
    let statistics = Statistics {
        mean: tensor(mean),
        inverse: tensor(inverse),
    };
    let running = Running {
        mean: tensor(running_mean),
        variance: tensor(running_variance),
        momentum: running.momentum,
    };
    Some((tensor(output), statistics, running))
}

impl Kernel<5, 5> for Forward {
    fn launch<R: CubeRuntime>(
        self,
        [x, weight, bias, running_mean, running_variance]: [CubeTensor<R>; 5],
    ) -> [CubeTensor<R>; 5] {
        let Self {
            division,
            epsilon,
            momentum,
            then,
        } = self;
        let [across, down] = division.units;
        let Rows { map: x, stride } = Rows::new(x, division.vector);
        let [weight, bias, running_mean, running_variance] =
            [weight, bias, running_mean, running_variance].map(into_contiguous);
        let client = x.client.clone();
        let (address, dtype) = (x.required_address_type(), x.dtype);
        let partial = || like(&x, [division.chunks, division.channels()], DType::F32);
        let (means, squares) = (partial(), partial());
        chunk_moments::launch::<R>(
            &client,
            division.cubes(division.chunks, 1),
            division.cube_dim(),
            address,
            division.vector,
            x.clone().into_tensor_arg(),
            means.clone().into_array_arg(),
            squares.clone().into_array_arg(),
            division.rows,
            division.columns,
            stride,
            division.rows_per_chunk,
            across,
            down,
            dtype.into(),
        );
        let of_channels = || like(&x, [division.channels()], DType::F32);
        let (mean, inverse) = (of_channels(), of_channels());
        let (new_running_mean, new_running_variance) = (of_channels(), of_channels());
        total_moments::launch::<R>(
            &client,
            division.cubes(1, 1),
            division.cube_dim(),
            division.vector,
            means.into_array_arg(),
            squares.into_array_arg(),
            running_mean.into_array_arg(),
            running_variance.into_array_arg(),
            mean.clone().into_array_arg(),
            inverse.clone().into_array_arg(),
            new_running_mean.clone().into_array_arg(),
            new_running_variance.clone().into_array_arg(),
            division.rows,
            division.columns,
            division.rows_per_chunk,
            division.chunks,
            epsilon,
            momentum,
            // The unbiased variance of a single position is undefined.
            division.rows as f32 / (division.rows - 1).max(1) as f32,
            across,
            down,
        );
        let output = like(&x, x.meta.shape().clone(), dtype);
        let vectors = division.vectors();
        let cube_dim = CubeDim::new(&client, vectors);
        normalise::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, vectors, cube_dim),
            cube_dim,
            address,
            division.vector,
            x.into_tensor_arg(),
            weight.into_array_arg(),
            bias.into_array_arg(),
            mean.clone().into_array_arg(),
            inverse.clone().into_array_arg(),
            output.clone().into_array_arg(),
            vectors,
            division.columns,
            stride,
            then,
            dtype.into(),
        );
        [
            output,
            mean,
            inverse,
            new_running_mean,
            new_running_variance,
        ]
    }
}
