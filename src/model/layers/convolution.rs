//! Convolution without bias on channels-last feature maps.

use super::{ComputePath, Padding};
use burn::{
    config::Config,
    module::{Module, Param},
    nn::Initializer,
    tensor::{Int, Tensor, TensorData, backend::Backend, module::conv2d, ops::PaddedConvOptions},
};

/// Configuration of a [`Convolution`] with a square kernel.
#[derive(Config, Debug)]
pub struct ConvolutionConfig {
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Side of the kernel, in positions.
    pub kernel_size: usize,
    /// Step between neighbouring outputs, in positions.
    #[config(default = 1)]
    pub stride: usize,
    /// Zeros put around the input.
    #[config(default = "Padding::Symmetric(0)")]
    pub padding: Padding,
    /// How it is computed.
    #[config(default = "ComputePath::Rows")]
    pub path: ComputePath,
}

/// Convolution without bias, `[N, H, W, C_in]` → `[N, H', W', C_out]`.
#[derive(Module, Debug)]
pub struct Convolution<B: Backend> {
    /// The kernel, `[k, k, C_in, C_out]`; PyTorch has `[C_out, C_in, k, k]`.
    pub weight: Param<Tensor<B, 4>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    #[module(skip)]
    path: ComputePath,
}

impl ConvolutionConfig {
    /// The layer with He's normal initialisation, N(0, 2 / (k²·C_in)): it keeps the variance of
    /// activations through layers of ReLU (He et al. 2015, eq. 10).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Convolution<B> {
        let k = self.kernel_size;
        let fan_in = k * k * self.channels_in;
        let initializer = Initializer::Normal {
            mean: 0.0,
            std: (2.0 / fan_in as f64).sqrt(),
        };
        Convolution {
            weight: initializer.init([k, k, self.channels_in, self.channels_out], device),
            stride: self.stride,
            padding: self.padding,
            path: self.path,
        }
    }
}

impl<B: Backend> Convolution<B> {
    /// Convolves `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C_in]`
    /// - output: `[N, H', W', C_out]` with H' = (H + zeros of the padding − k) / stride + 1,
    ///   rounded down
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.forward_with(x, self.weight.val())
    }

    /// Convolves `x` with every output channel scaled by `scale`, `[C_out]`: a following
    /// channel-wise multiplication folded into the weights.
    pub fn forward_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
        self.forward_with(x, self.weight.val() * scale.unsqueeze())
    }

    fn forward_with(&self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        let [k, _, channels_in, channels_out] = weight.dims();
        let [n, h, w, _] = x.dims();
        let windows = self.windows(&x, k);
        let pointwise = k == 1 && self.stride == 1 && !windows.padded();
        if !pointwise && self.path == ComputePath::Native {
            return self.forward_native(x, weight);
        }
        let ([h, w], columns) = match pointwise {
            true => ([h, w], x.reshape([n * h * w, channels_in])),
            false => (windows.output_size(), windows.select(x)),
        };
        let columns = columns.reshape([n * h * w, k * k * channels_in]);
        let weight = weight.reshape([k * k * channels_in, channels_out]);
        columns.matmul(weight).reshape([n, h, w, channels_out])
    }

    fn windows(&self, x: &Tensor<B, 4>, kernel: usize) -> Windows {
        let [images, h, w, _] = x.dims();
        Windows {
            images,
            size: [h, w],
            kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }

    fn forward_native(&self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = self.windows(&x, weight.dims()[0]).options(1);
        let x = x.permute([0, 3, 1, 2]);
        let weight = weight.permute([3, 2, 0, 1]);
        conv2d(x, weight, None, options).permute([0, 2, 3, 1])
    }
}

/// The square windows that a kernel slides over.
pub(super) struct Windows {
    pub(super) images: usize,
    pub(super) size: [usize; 2],
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

impl Windows {
    /// Zeros before and after each axis.
    fn zeros(&self) -> [[usize; 2]; 2] {
        self.size
            .map(|side| self.padding.around(side, self.kernel, self.stride))
    }

    fn padded(&self) -> bool {
        self.zeros() != [[0; 2]; 2]
    }

    pub(super) fn output_size(&self) -> [usize; 2] {
        let zeros = self.zeros();
        [0, 1].map(|axis| {
            let [before, after] = zeros[axis];
            (self.size[axis] + before + after - self.kernel) / self.stride + 1
        })
    }

    /// Burn's name for the same windows.
    pub(super) fn options(&self, groups: usize) -> PaddedConvOptions<2> {
        let [[top, bottom], [left, right]] = self.zeros();
        let stride = [self.stride; 2];
        PaddedConvOptions::asymmetric(stride, [top, left], [bottom, right], [1; 2], groups)
    }

    /// The inputs of each place of each window, `[N·H'·W'·k·k, C]`, of `x` `[N, H, W, C]`.
    pub(super) fn select<B: Backend>(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        let device = x.device();
        let [n, h, w, c] = x.dims();
        let rows = x.reshape([n * h * w, c]);
        // One row of zeros at the end stands for every position of the padding.
        let rows = match self.padded() {
            false => rows,
            true => Tensor::cat(vec![rows, Tensor::zeros([1, c], &device)], 0),
        };
        let indices = self.row_indices();
        let length = indices.len();
        let indices = Tensor::<B, 1, Int>::from_data(TensorData::new(indices, [length]), &device);
        rows.select(0, indices)
    }

    /// For each output position and each place of the kernel, the row of the channels-last input,
    /// or the row after the last for places on the padding.
    fn row_indices(&self) -> Vec<i64> {
        let [h, w] = self.size;
        let [h_out, w_out] = self.output_size();
        let [[top, _], [left, _]] = self.zeros();
        let zeros = (self.images * h * w) as i64;
        let inside = |window: usize, place: usize, before: usize, side: usize| {
            (window * self.stride + place)
                .checked_sub(before)
                .filter(|&position| position < side)
        };
        let mut indices = Vec::with_capacity(self.images * h_out * w_out * self.kernel.pow(2));
        for image in 0..self.images {
            for i in 0..h_out {
                for j in 0..w_out {
                    for row in (0..self.kernel).map(|place| inside(i, place, top, h)) {
                        let start = row.map(|row| (image * h + row) * w);
                        indices.extend((0..self.kernel).map(|place| {
                            match (start, inside(j, place, left, w)) {
                                (Some(start), Some(column)) => (start + column) as i64,
                                _ => zeros,
                            }
                        }));
                    }
                }
            }
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::Distribution};

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    fn layer(kernel: usize, stride: usize, padding: Padding) -> Convolution<AB> {
        let layer = ConvolutionConfig::new(5, 7, kernel)
            .with_stride(stride)
            .with_padding(padding)
            .init(&Default::default());
        // Drawn now, so that a clone has the same weights.
        layer.weight.val();
        layer
    }

    /// Numbers in [−1, 1] that no other test's draws can disturb.
    fn wave(shape: [usize; 4]) -> Tensor<AB, 4> {
        let count = shape.iter().product::<usize>();
        let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        Tensor::from_data(TensorData::new(wave, shape), &Default::default())
    }

    /// Output, gradient of the input and gradient of the weights under a probe.
    fn results(layer: &Convolution<AB>, side: usize) -> [TensorData; 3] {
        let x = wave([2, side, side + 2, 5]).require_grad();
        let y = layer.forward(x.clone());
        let gradients = (y.clone() * wave(y.dims())).sum().backward();
        [
            y.into_data(),
            x.grad(&gradients).unwrap().into_data(),
            layer.weight.val().grad(&gradients).unwrap().into_data(),
        ]
    }

    #[test]
    fn both_paths_agree_in_value_and_gradient() {
        for (kernel, stride, padding) in [
            (1, 1, Padding::Symmetric(0)),
            (1, 2, Padding::Symmetric(0)),
            (3, 1, Padding::Symmetric(1)),
            (3, 2, Padding::Symmetric(1)),
            (7, 2, Padding::Symmetric(3)),
            (3, 1, Padding::Symmetric(0)),
            (1, 1, Padding::Same),
            (3, 2, Padding::Same),
        ] {
            let columns = layer(kernel, stride, padding);
            let mut native = columns.clone();
            native.path = ComputePath::Native;
            // An even side makes TensorFlow's padding uneven, an odd one even.
            let pairs = [8, 9].into_iter().flat_map(|side| {
                let own = results(&columns, side).into_iter();
                own.zip(results(&native, side))
            });
            for (own, burns) in pairs {
                assert_eq!(own.shape, burns.shape);
                own.assert_approx_eq::<f32>(&burns, burn::tensor::Tolerance::absolute(1e-4));
            }
        }
    }

    #[test]
    fn pointwise_convolution_is_burns() {
        let layer = layer(1, 1, Padding::Symmetric(0));
        let [own, ..] = results(&layer, 4);
        let burns = layer.forward_native(wave([2, 4, 6, 5]), layer.weight.val());
        own.assert_approx_eq::<f32>(&burns.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }

    #[test]
    fn scaled_weights_scale_the_output() {
        let layer = layer(3, 1, Padding::Symmetric(1));
        let device = Default::default();
        let x = Tensor::<AB, 4>::random([1, 4, 4, 5], Distribution::Default, &device);
        let scale = Tensor::<AB, 1>::random([7], Distribution::Default, &device);
        let expected = layer.forward(x.clone()) * scale.clone().unsqueeze();
        let found = layer.forward_scaled(x, scale).into_data();
        found.assert_approx_eq::<f32>(
            &expected.into_data(),
            burn::tensor::Tolerance::absolute(1e-5),
        );
    }

    #[test]
    fn weights_start_with_hes_deviation() {
        let layer = ConvolutionConfig::new(64, 64, 3).init::<AB>(&Default::default());
        let weights: Vec<f64> = layer.weight.val().into_data().iter().collect();
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        assert!((variance * 288.0 - 1.0).abs() < 0.05, "{variance}");
    }
}
