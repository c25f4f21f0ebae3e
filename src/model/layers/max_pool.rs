//! Max pooling on channels-last feature maps.

use burn::tensor::{
    Bool, DType, IndexingUpdateOp, Int, Tensor, TensorData, backend::Backend, module::max_pool2d,
};

use super::{ConvAlgorithm, max_pool_indices::WindowIndices};
use crate::kernels::host::max_pool::{MaximumTaps, PooledAxis, WindowTaps};

/// Max pooling over square windows. Positions outside the map are ignored. Of equal values the first in
/// reading order gets the gradient.
///
/// With `ceil_mode` every window must start on the map or its padding, which
/// kernel − padding ≥ stride ensures; PyTorch drops other windows, Burn keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window, in positions.
    pub kernel_size: usize,
    /// Step between windows, in positions.
    pub stride: usize,
    /// Padding around the input, in positions.
    pub padding: usize,
    /// Whether the last window may extend over the edge (PyTorch's `ceil_mode`). Otherwise the
    /// remaining positions that do not fill a window are ignored.
    pub ceil_mode: bool,
}

impl MaxPool {
    /// Pools `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C]`
    /// - output: `[N, H', W', C]` with H' = (H + 2·padding − k) / stride + 1, rounded up with
    ///   `ceil_mode`, otherwise down
    pub fn forward<B: Backend>(&self, x: Tensor<B, 4>, algorithm: ConvAlgorithm) -> Tensor<B, 4> {
        match algorithm {
            ConvAlgorithm::Im2col => self.forward_im2col(x),
            ConvAlgorithm::Backend => self.forward_backend(x),
        }
    }

    /// The maximum along the width, then along the height.
    fn forward_im2col<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [along_width, along_height] = self.axes(x.dims());
        let [n, h, _, c] = x.dims();
        let [w_out, h_out] = [along_width.0.windows, along_height.0.windows];
        let x = along_width.maxima(x.reshape([n * h * along_width.0.side, c]));
        let x = along_height.maxima(x);
        x.reshape([n, h_out, w_out, c])
    }

    /// Pools `x`. Also returns the position of each maximum.
    pub(in crate::model) fn forward_with_positions<B: Backend>(
        &self,
        x: Tensor<B, 4>,
        algorithm: ConvAlgorithm,
    ) -> (Tensor<B, 4>, MaxPositions<B>) {
        match algorithm {
            ConvAlgorithm::Im2col => {
                let (maxima, mask) = self.forward_with_mask(x);
                (maxima, MaxPositions::Mask(mask))
            }
            ConvAlgorithm::Backend => {
                let (maxima, indices) = WindowIndices::forward(*self, x);
                (maxima, MaxPositions::Indices(indices))
            }
        }
    }

    fn forward_with_mask<B: Backend>(&self, x: Tensor<B, 4>) -> (Tensor<B, 4>, ArgmaxMask<B>) {
        let [along_width, along_height] = self.axes(x.dims());
        let [n, h, w, c] = x.dims();
        let shape = [n, along_height.0.windows, along_width.0.windows, c];
        let (x, width_taps) = along_width.maxima_and_taps(x.reshape([n * h * w, c]));
        let (x, height_taps) = along_height.maxima_and_taps(x);
        let mask = ArgmaxMask {
            axes: [(along_width, width_taps), (along_height, height_taps)],
            shape: [n, h, w, c],
        };
        (x.reshape(shape), mask)
    }

    /// Returns the shape of the output for an input of this shape.
    pub(in crate::model) fn output_shape(&self, x: [usize; 4]) -> [usize; 4] {
        let [along_width, along_height] = self.axes(x);
        [x[0], along_height.0.windows, along_width.0.windows, x[3]]
    }

    /// The axes of maps `[n, h, w, _]` in the order of pooling: the width, then the height of the map
    /// with pooled width.
    fn axes(&self, [n, h, w, _]: [usize; 4]) -> [Axis; 2] {
        let axis = |outer: usize, side: usize, inner: usize| {
            let room = side + 2 * self.padding - self.kernel_size;
            let steps = match self.ceil_mode {
                true => room.div_ceil(self.stride),
                false => room / self.stride,
            };
            Axis(PooledAxis {
                outer,
                side,
                inner,
                windows: steps + 1,
                taps: WindowTaps {
                    kernel: self.kernel_size,
                    stride: self.stride,
                    padding: self.padding,
                },
            })
        };
        let along_width = axis(n * h, w, 1);
        [along_width, axis(n, h, along_width.0.windows)]
    }

    fn forward_backend<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        max_pool2d(
            x.permute([0, 3, 1, 2]),
            [self.kernel_size; 2],
            [self.stride; 2],
            [self.padding; 2],
            [1; 2],
            self.ceil_mode,
        )
        .permute([0, 2, 3, 1])
    }
}

/// Pooling along one axis of a map of rows.
#[derive(Debug, Clone, Copy)]
struct Axis(PooledAxis);

impl Axis {
    /// The maximum of each window: `[outer · side · inner, C]` → `[outer · windows · inner, C]`.
    fn maxima<B: Backend>(&self, rows: Tensor<B, 2>) -> Tensor<B, 2> {
        self.0.maxima(rows.clone()).unwrap_or_else(|| {
            let candidates = (1..self.0.taps.kernel).map(|tap| self.at(tap, &rows));
            candidates.fold(self.at(0, &rows), Tensor::max_pair)
        })
    }

    /// The same, and where the maxima were.
    fn maxima_and_taps<B: Backend>(&self, rows: Tensor<B, 2>) -> (Tensor<B, 2>, AxisTaps<B>) {
        match self.0.maxima_and_taps(rows.clone()) {
            Some((maxima, taps)) => (maxima, AxisTaps::OnHost(taps)),
            None => {
                let (maxima, masks) = self.maxima_and_masks(rows);
                (maxima, AxisTaps::Masks(masks))
            }
        }
    }

    /// The maximum of each window, and for each tap but the first a mask of the windows in which it is larger than
    /// all taps before it.
    fn maxima_and_masks<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
    ) -> (Tensor<B, 2>, Vec<Tensor<B, 2, Bool>>) {
        let mut maxima = self.at(0, &rows);
        let mut masks = Vec::with_capacity(self.0.taps.kernel - 1);
        for tap in 1..self.0.taps.kernel {
            let candidates = self.at(tap, &rows);
            let larger = maxima.clone().lower(candidates.clone());
            maxima = maxima.mask_where(larger.clone(), candidates);
            masks.push(larger);
        }
        (maxima, masks)
    }

    /// The gradient of the rows from the gradient of the maxima.
    fn gradient<B: Backend>(
        &self,
        maxima_gradient: Tensor<B, 2>,
        taps: AxisTaps<B>,
    ) -> Tensor<B, 2> {
        match taps {
            AxisTaps::Masks(masks) => self.gradient_of_masks(maxima_gradient, masks),
            AxisTaps::OnHost(taps) => {
                let gradient = self.0.gradient(maxima_gradient, &taps);
                gradient.expect("the maxima were on the host, and gradients are f32")
            }
        }
    }

    /// The same from [masks](Self::maxima_and_masks).
    fn gradient_of_masks<B: Backend>(
        &self,
        maxima_gradient: Tensor<B, 2>,
        masks: Vec<Tensor<B, 2, Bool>>,
    ) -> Tensor<B, 2> {
        let device = maxima_gradient.device();
        let rows = self.0.outer * self.0.side * self.0.inner;
        let mut rows_gradient = Tensor::zeros([rows, maxima_gradient.dims()[1]], &device);
        let mut remaining = maxima_gradient;
        for (tap, larger) in masks.into_iter().enumerate().rev() {
            let earlier = remaining.clone().mask_fill(larger, 0.0);
            rows_gradient = self.add(rows_gradient, tap + 1, remaining - earlier.clone());
            remaining = earlier;
        }
        self.add(rows_gradient, 0, remaining)
    }

    /// Adds `values`, one row per window, to the rows that the windows see at `tap`.
    fn add<B: Backend>(
        &self,
        rows: Tensor<B, 2>,
        tap: usize,
        values: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        match self.indices(tap) {
            None => rows + values,
            Some(indices) => {
                let indices = as_tensor::<B>(indices, &rows.device());
                rows.select_assign(0, indices, values, IndexingUpdateOp::Add)
            }
        }
    }

    /// The row that each window sees at `tap`.
    fn at<B: Backend>(&self, tap: usize, rows: &Tensor<B, 2>) -> Tensor<B, 2> {
        match self.indices(tap) {
            None => rows.clone(),
            Some(indices) => rows
                .clone()
                .select(0, as_tensor::<B>(indices, &rows.device())),
        }
    }

    /// The index of the row that each window sees at `tap`; `None` if these are all rows in order.
    fn indices(&self, tap: usize) -> Option<Vec<i32>> {
        let PooledAxis {
            outer,
            side,
            inner,
            windows,
            taps,
        } = self.0;
        if taps.stride == 1 && tap == taps.padding && windows == side {
            return None;
        }
        let starts = (0..outer).flat_map(|o| {
            (0..windows).map(move |window| o * side + taps.position(window, tap, side))
        });
        let rows = starts.flat_map(|start| (0..inner).map(move |i| (start * inner + i) as i32));
        Some(rows.collect())
    }
}

/// Where the maxima of the windows along an axis were.
enum AxisTaps<B: Backend> {
    /// For each tap but the first, the windows in which it is larger than all taps before it.
    Masks(Vec<Tensor<B, 2, Bool>>),
    /// Of [kernels on the host](crate::kernels::host::max_pool).
    OnHost(MaximumTaps),
}

fn as_tensor<B: Backend>(indices: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let length = indices.len();
    Tensor::from_data(TensorData::new(indices, [length]), device)
}

/// The position of the maximum in each window of a max pool.
pub(in crate::model) enum MaxPositions<B: Backend> {
    /// Of [`ConvAlgorithm::Im2col`].
    Mask(ArgmaxMask<B>),
    /// Of [`ConvAlgorithm::Backend`].
    Indices(WindowIndices<B>),
}

impl<B: Backend> MaxPositions<B> {
    /// The gradient of the pool's input from the gradient of its output. Sums of overlapping windows are
    /// computed in f32.
    pub(in crate::model) fn gradient(self, output_gradient: Tensor<B, 4>) -> Tensor<B, 4> {
        let precision = output_gradient.dtype();
        let output_gradient = output_gradient.cast(DType::F32);
        let gradient = match self {
            Self::Mask(mask) => mask.gradient(output_gradient),
            Self::Indices(indices) => indices.gradient(output_gradient),
        };
        gradient.cast(precision)
    }
}

/// The position of the maximum along each axis.
pub(in crate::model) struct ArgmaxMask<B: Backend> {
    /// Along the width and along the height.
    axes: [(Axis, AxisTaps<B>); 2],
    /// The shape of the input.
    shape: [usize; 4],
}

impl<B: Backend> ArgmaxMask<B> {
    fn gradient(self, output_gradient: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, h, w, c] = output_gradient.dims();
        let [(along_width, width_taps), (along_height, height_taps)] = self.axes;
        let gradient = along_height.gradient(output_gradient.reshape([n * h * w, c]), height_taps);
        along_width
            .gradient(gradient, width_taps)
            .reshape(self.shape)
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::TensorData};

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    /// Two channels: the numbers −1 to −`count`, so that a zero of the padding would be the maximum if it
    /// counted, and a wave.
    fn input(count: usize) -> Vec<f32> {
        (0..count)
            .flat_map(|i| [-1.0 - i as f32, (i as f32 * 2.1).sin()])
            .collect()
    }

    #[test]
    fn padding_is_ignored_and_gradients_go_to_the_largest_value() {
        let pools = [(3, 2, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1)];
        let algorithms = [ConvAlgorithm::Im2col, ConvAlgorithm::Backend];
        for (((kernel_size, stride, padding), algorithm), (ceil_mode, side)) in pools
            .into_iter()
            .flat_map(|pool| algorithms.map(|algorithm| (pool, algorithm)))
            .flat_map(|case| {
                [(true, 5), (true, 6), (false, 5), (false, 6)].map(|edge| (case, edge))
            })
        {
            let pool = MaxPool {
                kernel_size,
                stride,
                padding,
                ceil_mode,
            };
            let input = input(side * side);
            let x = TensorData::new(input.clone(), [1, side, side, 2]);
            let x = Tensor::<AB, 4>::from_data(x, &Default::default()).require_grad();
            let y = pool.forward(x.clone(), algorithm);
            let [_, h, w, _] = y.dims();
            let room = (side + 2 * padding - kernel_size) as f64 / stride as f64;
            let windows = if ceil_mode { room.ceil() } else { room.floor() };
            assert_eq!([h, w], [windows as usize + 1; 2], "{pool:?} {side}");

            let (mut outputs, mut gradient) = (Vec::new(), vec![0.0_f32; input.len()]);
            for (i, j, c) in (0..h).flat_map(|i| (0..w).flat_map(move |j| [(i, j, 0), (i, j, 1)])) {
                let positions = |window: usize| {
                    let start = (window * stride) as isize - padding as isize;
                    (start..start + kernel_size as isize).filter(|p| (0..side as isize).contains(p))
                };
                let rows = positions(i).flat_map(|r| {
                    positions(j).map(move |k| (r * side as isize + k) as usize * 2 + c)
                });
                let best = rows.max_by(|&a, &b| input[a].total_cmp(&input[b])).unwrap();
                outputs.push(input[best]);
                gradient[best] += 1.0;
            }
            let found = x.grad(&y.clone().sum().backward()).unwrap();
            let (own_y, positions) = pool.forward_with_positions(x.inner(), algorithm);
            let own = positions.gradient(own_y.ones_like());
            assert_eq!(
                own_y.into_data().into_vec::<f32>().unwrap(),
                outputs,
                "{pool:?}"
            );
            let own = own.into_data().into_vec::<f32>().unwrap();
            assert_eq!(own, gradient, "{pool:?} {side}");
            assert_eq!(
                y.into_data().into_vec::<f32>().unwrap(),
                outputs,
                "{pool:?}"
            );
            let found = found.into_data().into_vec::<f32>().unwrap();
            assert_eq!(found, gradient, "{pool:?} {side}");
        }
    }

    #[test]
    fn host_computes_the_same_bits_as_burns_operations() {
        // Ties, both zeros and NaN at every tap.
        let special = [f32::NAN, -0.0, 0.0, 1.0, 1.0, -1.0];
        let numbers = (0..2 * 7 * 6 * 5).map(|i: usize| special[i * i % 37 % special.len()]);
        let numbers = TensorData::new(numbers.collect(), [2 * 7 * 6, 5]);
        let rows = Tensor::<burn_flex::Flex, 2>::from_data(numbers, &Default::default());
        let bits = |rows: Tensor<burn_flex::Flex, 2>| -> Vec<u32> {
            let numbers = rows.into_data().into_vec::<f32>().unwrap();
            numbers.into_iter().map(f32::to_bits).collect()
        };
        for (kernel_size, stride, padding) in
            [(2, 2, 0), (3, 2, 0), (3, 1, 1), (3, 2, 1), (2, 1, 0)]
        {
            let pool = MaxPool {
                kernel_size,
                stride,
                padding,
                ceil_mode: true,
            };
            let [along_width, along_height] = pool.axes([2, 7, 6, 5]);
            // The second axis as it would be without the first.
            let along_height = Axis(PooledAxis {
                inner: 6,
                ..along_height.0
            });
            for axis in [along_width, along_height] {
                let (maxima, masks) = axis.maxima_and_masks(rows.clone());
                let (found, taps) = axis.0.maxima_and_taps(rows.clone()).unwrap();
                assert_eq!(bits(found), bits(maxima.clone()), "{axis:?}");
                let found = axis.0.maxima(rows.clone()).unwrap();
                assert_eq!(bits(found), bits(maxima.clone()), "{axis:?}");
                let wave = Tensor::arange(0..maxima.shape().num_elements() as i64, &rows.device());
                let wave = wave.float().reshape(maxima.dims()).sin();
                let found = axis.0.gradient(wave.clone(), &taps).unwrap();
                assert_eq!(
                    bits(found),
                    bits(axis.gradient_of_masks(wave, masks)),
                    "{axis:?}"
                );
            }
        }
    }
}
