//! im2col: the windows of a sliding kernel, and the rows of a channels-last map inside them.

use std::cell::OnceCell;

use burn::tensor::{
    IndexingUpdateOp, Int, Tensor, TensorData, TensorPrimitive, backend::Backend, module::conv2d,
    ops::ConvOptions,
};

use super::Padding;
use crate::kernels::windows::Windows;
use crate::kernels::{convolution, host};

/// The most numbers in the im2col matrix of one chunk of a batch, 16 MiB of f32. Larger buffers leave
/// the processor's caches, and the system maps their pages again for every use.
#[cfg(not(test))]
const MAX_CHUNK: usize = 4 * 1024 * 1024;

/// Smaller in tests, so that small batches have several chunks.
#[cfg(test)]
const MAX_CHUNK: usize = 4 * 1024;

/// The square windows of a kernel of side k on maps `[N, H, W, ·]`: `[N, H', W']` windows of k² taps.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowGeometry {
    pub(super) images: usize,
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    /// Zeros before and after each axis.
    zeros: [[usize; 2]; 2],
}

impl WindowGeometry {
    /// The windows on `x` `[N, H, W, C]`.
    pub(super) fn new<B: Backend>(
        x: &Tensor<B, 4>,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Self {
        Self::of_shape(x.dims(), kernel, stride, padding)
    }

    /// The windows on a map `[N, H, W, C]`.
    pub(super) fn of_shape(
        [images, h, w, _]: [usize; 4],
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Self {
        let size = [h, w];
        Self {
            images,
            size,
            kernel,
            stride,
            zeros: size.map(|side| padding.around(side, kernel, stride)),
        }
    }

    /// Whether every window is one position of the input.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && !self.is_padded()
    }

    fn is_padded(&self) -> bool {
        self.zeros != [[0; 2]; 2]
    }

    /// H' and W'.
    pub(super) fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let [before, after] = self.zeros[axis];
            (self.size[axis] + before + after - self.kernel) / self.stride + 1
        })
    }

    /// These windows as kernels take them.
    pub(super) fn kernel_windows(&self) -> Windows {
        Windows {
            kernel: self.kernel,
            stride: self.stride,
            before: self.zeros.map(|[before, _]| before),
            input: self.size,
            output: self.output_size(),
        }
    }

    /// Burn's `conv2d` over these windows: `x` `[N, H, W, C]`, `weight` `[k, k, C / groups, O]`, output
    /// `[N, H', W', O]`.
    pub(super) fn conv2d<B: Backend>(
        &self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        groups: usize,
    ) -> Tensor<B, 4> {
        let x = self.with_symmetric_zeros(x.permute([0, 3, 1, 2]));
        let weight = weight.permute([3, 2, 0, 1]);
        let options = self.options(groups);
        let y = convolution::forward(x.clone(), weight.clone(), &options)
            .unwrap_or_else(|| conv2d(x, weight, None, options));
        y.permute([0, 2, 3, 1])
    }

    /// The gradients of [`conv2d`](Self::conv2d)'s `x`, if `x_tracked`, and `weight` from the gradient of its output.
    pub(super) fn conv2d_gradients<B: Backend>(
        &self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        output_gradient: Tensor<B, 4>,
        x_tracked: bool,
        groups: usize,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let weight_gradient = match groups {
            1 => convolution::weight_gradient(
                x.clone(),
                output_gradient.clone(),
                self.kernel_windows(),
            ),
            _ => None,
        };
        let [images, .., channels] = x.dims();
        let padded = || self.with_symmetric_zeros(x.clone().permute([0, 3, 1, 2]));
        let options = self.options(groups);
        let primitive = |tensor: &Tensor<B, 4>| tensor.clone().into_primitive().tensor();
        let tensor = |primitive| Tensor::<B, 4>::from_primitive(TensorPrimitive::Float(primitive));
        let weight = weight.permute([3, 2, 0, 1]);
        let output_gradient = output_gradient.permute([0, 3, 1, 2]);
        let x_gradient = x_tracked.then(|| {
            let [height, width] = self.size_with_symmetric_zeros();
            let by_kernel = convolution::x_gradient(
                weight.clone(),
                output_gradient.clone(),
                [images, channels, height, width],
                &options,
            );
            let gradient = by_kernel.unwrap_or_else(|| {
                tensor(B::conv2d_x_backward(
                    primitive(&padded()),
                    primitive(&weight),
                    primitive(&output_gradient),
                    options.clone(),
                ))
            });
            let [[top, _], [left, _]] = self.zeros;
            let gradient = match self.is_symmetric() {
                true => gradient,
                false => gradient
                    .narrow(2, top, self.size[0])
                    .narrow(3, left, self.size[1]),
            };
            gradient.permute([0, 2, 3, 1])
        });
        let weight_gradient = weight_gradient.unwrap_or_else(|| {
            let gradient = B::conv2d_weight_backward(
                primitive(&padded()),
                primitive(&weight),
                primitive(&output_gradient),
                options,
            );
            tensor(gradient).permute([2, 3, 1, 0])
        });
        (x_gradient, weight_gradient)
    }

    /// Whether there are as many zeros after a map as before it. Burn's gradients know no other padding.
    fn is_symmetric(&self) -> bool {
        self.zeros.iter().all(|[before, after]| before == after)
    }

    /// Burn's options of a convolution of maps [with symmetric zeros](Self::with_symmetric_zeros).
    fn options(&self, groups: usize) -> ConvOptions<2> {
        let padding = match self.is_symmetric() {
            true => self.zeros.map(|[before, _]| before),
            false => [0; 2],
        };
        ConvOptions::new([self.stride; 2], padding, [1; 2], groups)
    }

    /// `x` `[N, C, H, W]`, with its zeros if they are not symmetric.
    fn with_symmetric_zeros<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [[top, bottom], [left, right]] = self.zeros;
        match self.is_symmetric() {
            true => x,
            false => x.pad((left, right, top, bottom), 0.0),
        }
    }

    /// H and W of [`with_symmetric_zeros`](Self::with_symmetric_zeros).
    fn size_with_symmetric_zeros(&self) -> [usize; 2] {
        match self.is_symmetric() {
            true => self.size,
            false => [0, 1].map(|axis| self.size[axis] + self.zeros[axis].iter().sum::<usize>()),
        }
    }

    /// The windows of the transposed convolution: the windows on the output whose taps cover each input
    /// position. `None` if the stride is above 1 or the windows are pointwise.
    pub(super) fn transposed(&self) -> Option<Self> {
        let fits = self
            .zeros
            .iter()
            .flatten()
            .all(|&zeros| zeros < self.kernel);
        (self.stride == 1 && self.kernel > 1 && fits).then(|| Self {
            size: self.output_size(),
            zeros: self
                .zeros
                .map(|axis| axis.map(|zeros| self.kernel - 1 - zeros)),
            ..*self
        })
    }

    /// The windows on as many images as [`MAX_CHUNK`] allows with `channels` channels, at least one.
    /// All images if there is nothing to gather, or if autodiff would keep every chunk.
    pub(super) fn chunk<B: Backend>(&self, channels: usize, device: &B::Device) -> Self {
        if self.is_pointwise() || B::ad_enabled(device) {
            return *self;
        }
        let [h, w] = self.output_size();
        let most = (MAX_CHUNK / (h * w * self.kernel.pow(2) * channels)).max(1);
        Self {
            images: most.min(self.images),
            ..*self
        }
    }

    /// The rows that the windows cover, as indices on `device`.
    pub(super) fn indices<B: Backend>(&self, device: &B::Device) -> Im2colIndices<B> {
        Im2colIndices {
            windows: *self,
            device: device.clone(),
            rows: OnceCell::new(),
        }
    }

    /// `x` `[N, H, W, C]` as rows `[N·H·W, C]`. With padding, a row of zeros in front represents all of
    /// it.
    pub(super) fn padded_rows<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let device = x.device();
        let rows = as_rows(x);
        match self.is_padded() {
            false => rows,
            true => {
                let zeros = Tensor::zeros([1, rows.dims()[1]], &device);
                Tensor::cat(vec![zeros, rows], 0)
            }
        }
    }

    /// The map `[N, H, W, C]` of [`padded_rows`](Self::padded_rows).
    pub(super) fn unpadded_map<B: Backend>(&self, rows: Tensor<B, 2>) -> Tensor<B, 4> {
        let ([h, w], channels) = (self.size, rows.dims()[1]);
        let positions = self.images * h * w;
        let rows = rows.narrow(0, usize::from(self.is_padded()), positions);
        rows.reshape([self.images, h, w, channels])
    }

    /// For each window, the index of the row of [`padded_rows`](Self::padded_rows) at `tap` of the k²
    /// taps.
    pub(super) fn tap_rows<B: Backend>(&self, tap: usize, device: &B::Device) -> Tensor<B, 1, Int> {
        let (down, across) = (tap / self.kernel, tap % self.kernel);
        let [h_out, w_out] = self.output_size();
        let [[top, _], [left, _]] = self.zeros;
        let [h, w] = self.size;
        let columns: Vec<Option<usize>> = (0..w_out)
            .map(|j| self.position(j, across, left, w))
            .collect();
        let mut rows = Vec::with_capacity(self.images * h_out * w_out);
        for image in 0..self.images {
            for i in 0..h_out {
                let start = self.line_start(image, self.position(i, down, top, h));
                rows.extend(columns.iter().map(|&column| row(start, column)));
            }
        }
        as_tensor::<B>(rows, device)
    }

    /// For each window and each of its k² taps, the index of the row of
    /// [`padded_rows`](Self::padded_rows). The indices of the first images do not depend on the number
    /// of images.
    fn window_rows(&self) -> Vec<i32> {
        let [h, w] = self.size;
        let [h_out, w_out] = self.output_size();
        let [[top, _], [left, _]] = self.zeros;
        let mut rows = Vec::with_capacity(self.images * h_out * w_out * self.kernel.pow(2));
        for image in 0..self.images {
            for i in 0..h_out {
                for j in 0..w_out {
                    for down in 0..self.kernel {
                        let start = self.line_start(image, self.position(i, down, top, h));
                        rows.extend(
                            (0..self.kernel)
                                .map(|across| row(start, self.position(j, across, left, w))),
                        );
                    }
                }
            }
        }
        rows
    }

    /// The position that a window covers at an offset along an axis of `side` positions with `before`
    /// zeros in front; `None` on the padding.
    fn position(&self, window: usize, offset: usize, before: usize, side: usize) -> Option<usize> {
        (window * self.stride + offset)
            .checked_sub(before)
            .filter(|&position| position < side)
    }

    /// The row of the first position of a line.
    fn line_start(&self, image: usize, line: Option<usize>) -> Option<usize> {
        let [h, w] = self.size;
        line.map(|line| (image * h + line) * w + usize::from(self.is_padded()))
    }
}

/// The row at a column of the line that starts at `start`, or the row of zeros.
fn row(start: Option<usize>, column: Option<usize>) -> i32 {
    match (start, column) {
        (Some(start), Some(column)) => (start + column) as i32,
        _ => 0,
    }
}

/// The rows that windows cover, for at most as many images as the geometry has.
pub(super) struct Im2colIndices<B: Backend> {
    windows: WindowGeometry,
    device: B::Device,
    /// The row of each tap of each window, if it was needed.
    rows: OnceCell<Tensor<B, 1, Int>>,
}

impl<B: Backend> Im2colIndices<B> {
    /// The values in each window, `[N·H'·W', k·k·C]`, of `x` `[N, H, W, C]`.
    pub(super) fn im2col(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        if self.windows.is_pointwise() {
            return as_rows(x);
        }
        if let Some(values) = host::im2col::im2col(x.clone(), self.windows.kernel_windows()) {
            return values;
        }
        let [images, .., channels] = x.dims();
        let (windows, taps) = self.count(images);
        let padded = self.windows.padded_rows(x);
        let values = padded.select(0, self.rows().narrow(0, 0, windows * taps));
        values.reshape([windows, taps * channels])
    }

    /// The sum over the taps that cover a position, `[N, H, W, C]`, of `columns` `[N·H'·W', k·k·C]` of N
    /// `images`: the adjoint of [`im2col`](Self::im2col).
    pub(super) fn col2im(&self, columns: Tensor<B, 2>, images: usize) -> Tensor<B, 4> {
        let device = columns.device();
        let [h, w] = self.windows.size;
        let (windows, taps) = self.count(images);
        let channels = columns.dims()[1] / taps;
        if self.windows.is_pointwise() {
            return columns.reshape([images, h, w, channels]);
        }
        let columns = columns.reshape([windows * taps, channels]);
        let first = usize::from(self.windows.is_padded());
        let sums = Tensor::zeros([first + images * h * w, channels], &device);
        let rows = self.rows().narrow(0, 0, windows * taps);
        let sums = sums.select_assign(0, rows, columns, IndexingUpdateOp::Add);
        let windows = WindowGeometry {
            images,
            ..self.windows
        };
        windows.unpadded_map(sums)
    }

    fn rows(&self) -> Tensor<B, 1, Int> {
        let rows = || as_tensor(self.windows.window_rows(), &self.device);
        self.rows.get_or_init(rows).clone()
    }

    /// The number of windows on `images` images, and of the taps of each.
    fn count(&self, images: usize) -> (usize, usize) {
        let [h, w] = self.windows.output_size();
        (images * h * w, self.windows.kernel.pow(2))
    }
}

/// A map `[N, H, W, C]` as `[N·H·W, C]`.
pub(super) fn as_rows<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, h, w, c] = map.dims();
    map.reshape([n * h * w, c])
}

fn as_tensor<B: Backend>(rows: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let length = rows.len();
    Tensor::from_data(TensorData::new(rows, [length]), device)
}
