//! Convolution without bias on channels-last feature maps.

use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Distribution, Tensor, backend::Backend},
};

use super::{ConvAlgorithm, Padding, conv_kernel::ConvKernel, initial_weights::draw};

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
    #[config(default = "ConvAlgorithm::Im2col")]
    pub algorithm: ConvAlgorithm,
    /// Whether every channel is convolved with its own filter (MobileNet, Howard et al. 2017, eq. 3).
    /// The output then has as many channels as the input.
    #[config(default = false)]
    pub depthwise: bool,
}

/// Convolution without bias, `[N, H, W, C_in]` → `[N, H', W', C_out]`.
#[derive(Module, Debug)]
pub struct Convolution<B: Backend> {
    /// The kernel, `[k, k, C_in, C_out]` (PyTorch: `[C_out, C_in, k, k]`); of a depthwise convolution
    /// `[k, k, 1, C]` (PyTorch: `[C, 1, k, k]`).
    pub weight: Param<Tensor<B, 4>>,
    #[module(skip)]
    kernel: ConvKernel,
}

impl ConvolutionConfig {
    /// A depthwise convolution of `channels` channels.
    pub fn depthwise(channels: usize, kernel_size: usize) -> Self {
        Self::new(channels, channels, kernel_size).with_depthwise(true)
    }

    /// The layer with He's normal initialisation, N(0, 2 / fan_in), which keeps the variance of
    /// activations through layers of ReLU (He et al. 2015, eq. 10). fan_in is the number of inputs of
    /// an output: k²·C_in, or k² if depthwise.
    ///
    /// # Panics
    /// If it is depthwise and `channels_in` differs from `channels_out`.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Convolution<B> {
        let k = self.kernel_size;
        let inputs = match self.depthwise {
            true => {
                assert_eq!(self.channels_in, self.channels_out, "depthwise channels");
                1
            }
            false => self.channels_in,
        };
        let fan_in = k * k * inputs;
        let he = Distribution::Normal(0.0, (2.0 / fan_in as f64).sqrt());
        Convolution {
            weight: draw([k, k, inputs, self.channels_out], he, device),
            kernel: ConvKernel {
                stride: self.stride,
                padding: self.padding,
                algorithm: self.algorithm,
                depthwise: self.depthwise,
            },
        }
    }
}

impl<B: Backend> Convolution<B> {
    /// Convolves `x` in its number format.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C_in]`
    /// - output: `[N, H', W', C_out]` with H' = (H + zeros of the padding − k) / stride + 1,
    ///   rounded down
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.kernel.forward(x, self.weight.val())
    }

    /// Convolves `x` and scales every output channel by `scale`, `[C_out]`: a subsequent channel-wise
    /// multiplication folded into the weights.
    pub fn forward_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
        self.kernel
            .forward(x, self.weight.val() * scale.unsqueeze())
    }

    /// Its arithmetic.
    pub(in crate::model) fn kernel(&self) -> ConvKernel {
        self.kernel
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        tensor::{TensorData, Tolerance},
    };

    use super::*;
    use crate::model::layers::im2col::WindowGeometry;

    type AB = Autodiff<burn_flex::Flex>;

    fn layer(kernel: usize, stride: usize, padding: Padding) -> Convolution<AB> {
        let layer = ConvolutionConfig::new(5, 7, kernel)
            .with_stride(stride)
            .with_padding(padding)
            .init(&Default::default());
        // Materialises the lazy parameter, so that a clone has the same weights.
        layer.weight.val();
        layer
    }

    /// A wave of numbers in [−1, 1], independent of other tests' random numbers.
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
    fn both_algorithms_agree_in_value_and_gradient() {
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
            let im2col = layer(kernel, stride, padding);
            let mut native = im2col.clone();
            native.kernel.algorithm = ConvAlgorithm::Backend;
            // An even side makes TensorFlow's padding uneven, an odd side even.
            let pairs = [8, 9].into_iter().flat_map(|side| {
                let own = results(&im2col, side).into_iter();
                own.zip(results(&native, side))
            });
            for (own, burns) in pairs {
                assert_eq!(own.shape, burns.shape);
                own.assert_approx_eq::<f32>(&burns, Tolerance::absolute(1e-4));
            }
        }
    }

    #[test]
    fn pointwise_convolution_equals_burns() {
        let layer = layer(1, 1, Padding::Symmetric(0));
        let [own, ..] = results(&layer, 4);
        let x = wave([2, 4, 6, 5]);
        let windows = WindowGeometry::new(&x, 1, 1, Padding::Symmetric(0));
        let burns = windows.conv2d(x, layer.weight.val(), 1);
        own.assert_approx_eq::<f32>(&burns.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn scaled_weights_scale_the_output() {
        let layer = layer(3, 1, Padding::Symmetric(1));
        let device = Default::default();
        let x = Tensor::<AB, 4>::random([1, 4, 4, 5], Distribution::Default, &device);
        let scale = Tensor::<AB, 1>::random([7], Distribution::Default, &device);
        let expected = layer.forward(x.clone()) * scale.clone().unsqueeze();
        let found = layer.forward_scaled(x, scale).into_data();
        found.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn weights_start_with_hes_deviation() {
        let layer = ConvolutionConfig::new(64, 64, 3).init::<AB>(&Default::default());
        let weights: Vec<f64> = layer.weight.val().into_data().iter().collect();
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        assert!((variance * 288.0 - 1.0).abs() < 0.05, "{variance}");
    }
}
