//! The kernels for the frames of unit vectors and their gradient, and the launches.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor as BurnTensor};
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::UnitFrames;
use crate::kernels::differentiable::{self, Computed, Differentiable};
use crate::kernels::launch::{like, primitive, tensor};
use crate::kernels::sum_of_cube::sum_of_cube;

/// Units of a cube, at least and at most.
const UNITS: [usize; 2] = [32, 256];
/// f32's ε squared: squares up to this one are those of zero lengths, as in `geometry`.
const NEGLIGIBLE_SQUARE: f32 = f32::EPSILON * f32::EPSILON;
/// 2¹¹, the unit of h.
const UNIT: f32 = 2048.0;
/// The ratio of the units of two consecutive parts is 2⁻¹²; this is its inverse.
const PER_NEXT: f32 = 4096.0;

/// Half the factor that scales a row with this square to unit length.
#[cube]
fn half_scale(square: f32) -> f32 {
    0.5 / select(square <= NEGLIGIBLE_SQUARE, 1.0, square).sqrt()
}

/// Writes the parts of a number.
#[cube]
fn split(x: f32, h: &mut Array<f32>, m: &mut Array<f32>, l: &mut Array<f32>, position: usize) {
    let scaled = x * UNIT;
    let high = scaled.round();
    let rest = (scaled - high) * PER_NEXT;
    let middle = rest.round();
    h[position] = high;
    m[position] = middle;
    l[position] = rest - middle;
}

/// One pair per cube.
#[cube(launch, address_type = "dynamic")]
fn frames_of_pairs(
    embeddings: &Tensor<f32>,
    rows: &mut Array<f32>,
    h: &mut Array<f32>,
    m: &mut Array<f32>,
    l: &mut Array<f32>,
    scales: &mut Array<f32>,
    dim: usize,
    #[comptime] units: usize,
) {
    let pair = CUBE_POS_X as usize;
    let across = embeddings.stride(1);
    let first = 2 * pair * embeddings.stride(0);
    let second = first + embeddings.stride(0);
    let mut square_of_first = Vector::<f32, Const<1>>::new(0.0);
    let mut square_of_second = Vector::<f32, Const<1>>::new(0.0);
    let mut column = UNIT_POS as usize;
    while column < dim {
        let x = embeddings[first + column * across];
        let y = embeddings[second + column * across];
        square_of_first += Vector::new(x * x);
        square_of_second += Vector::new(y * y);
        column += units;
    }
    let square_of_first = sum_of_cube::<Const<1>>(square_of_first, 1usize, units);
    let square_of_second = sum_of_cube::<Const<1>>(square_of_second, 1usize, units);
    let mut shared = SharedMemory::<f32>::new(2usize);
    if UNIT_POS == 0 {
        let (scale_of_first, scale_of_second) = (
            half_scale(square_of_first[0]),
            half_scale(square_of_second[0]),
        );
        shared[0] = scale_of_first;
        shared[1] = scale_of_second;
        scales[2 * pair] = scale_of_first;
        scales[2 * pair + 1] = scale_of_second;
    }
    sync_cube();
    let (scale_of_first, scale_of_second) = (shared[0], shared[1]);
    let of_m = pair * dim;
    let of_t = (CUBE_COUNT_X as usize + pair) * dim;
    let mut column = UNIT_POS as usize;
    while column < dim {
        let x = embeddings[first + column * across] * scale_of_first;
        let y = embeddings[second + column * across] * scale_of_second;
        let middle = x + y;
        let difference = y - x;
        rows[of_m + column] = middle;
        rows[of_t + column] = difference;
        split(middle, h, m, l, of_m + column);
        split(difference, h, m, l, of_t + column);
        column += units;
    }
}

/// One number of both embeddings of a pair per unit.
#[cube(launch, address_type = "dynamic")]
fn embedding_gradients(
    gradient: &Tensor<f32>,
    scales: &Array<f32>,
    embeddings: &mut Array<f32>,
    pairs: usize,
    dim: usize,
) {
    if ABSOLUTE_POS >= pairs * dim {
        terminate!();
    }
    let (pair, column) = (ABSOLUTE_POS / dim, ABSOLUTE_POS % dim);
    let place = column * gradient.stride(1);
    let of_m = gradient[pair * gradient.stride(0) + place];
    let of_t = gradient[(pairs + pair) * gradient.stride(0) + place];
    embeddings[2 * pair * dim + column] = (of_m - of_t) * scales[2 * pair];
    embeddings[(2 * pair + 1) * dim + column] = (of_m + of_t) * scales[2 * pair + 1];
}

#[derive(Debug, Clone)]
struct Frames;

impl Differentiable<0, 3, 1> for Frames {
    fn forward<R: CubeRuntime>(
        &self,
        embeddings: CubeTensor<R>,
        []: [CubeTensor<R>; 0],
    ) -> Computed<R, 3, 1> {
        let [ends, dim] = embeddings.meta.shape().dims();
        let client = embeddings.client.clone();
        let [value, h, m, l] = [(); 4].map(|()| like(&embeddings, [ends, dim], DType::F32));
        let scales = like(&embeddings, [ends], DType::F32);
        let [least, most] = UNITS;
        let units = dim.next_power_of_two().clamp(least, most);
        frames_of_pairs::launch::<R>(
            &client,
            CubeCount::Static((ends / 2) as u32, 1, 1),
            CubeDim::new_2d(1, units as u32),
            embeddings.required_address_type(),
            embeddings.into_tensor_arg(),
            value.clone().into_array_arg(),
            h.clone().into_array_arg(),
            m.clone().into_array_arg(),
            l.clone().into_array_arg(),
            scales.clone().into_array_arg(),
            dim,
            units,
        );
        Computed {
            value,
            others: [h, m, l],
            saved: [scales],
        }
    }

    fn backward<R: CubeRuntime>(
        self,
        [scales]: [CubeTensor<R>; 1],
        gradient: CubeTensor<R>,
    ) -> CubeTensor<R> {
        let [ends, dim] = gradient.meta.shape().dims();
        let client = gradient.client.clone();
        let embeddings = like(&gradient, [ends, dim], DType::F32);
        let numbers = ends / 2 * dim;
        let cube_dim = CubeDim::new(&client, numbers);
        embedding_gradients::launch::<R>(
            &client,
            calculate_cube_count_elemwise(&client, numbers, cube_dim),
            cube_dim,
            gradient.required_address_type(),
            gradient.into_tensor_arg(),
            scales.into_array_arg(),
            embeddings.clone().into_array_arg(),
            ends / 2,
            dim,
        );
        embeddings
    }
}

pub(super) fn unit_frames<B: Backend>(embeddings: BurnTensor<B, 2>) -> Option<UnitFrames<B>> {
    let [ends, dim] = embeddings.dims();
    if ends == 0 || dim == 0 || embeddings.dtype() != DType::F32 {
        return None;
    }
    let (rows, parts) = differentiable::compute::<B, 0, 3, 1>(Frames, primitive(embeddings), [])?;
    Some(UnitFrames {
        rows: tensor(rows),
        parts: parts.map(tensor),
    })
}
