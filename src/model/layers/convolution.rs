//! Convolution without bias on channels-last feature maps.

use super::{
    ConvAlgorithm, Padding,
    initial_weights::draw,
    windows::{Windows, as_rows},
};
use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Distribution, Tensor, backend::Backend, module::conv2d},
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
    #[config(default = "ConvAlgorithm::Im2col")]
    pub algorithm: ConvAlgorithm,
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
    algorithm: ConvAlgorithm,
}

impl ConvolutionConfig {
    /// The layer with He's normal initialisation, N(0, 2 / (k²·C_in)): it keeps the variance of
    /// activations through layers of ReLU (He et al. 2015, eq. 10).
    pub fn init<B: Backend>(&self, device: &B::Device) -> Convolution<B> {
        let k = self.kernel_size;
        let fan_in = k * k * self.channels_in;
        let he = Distribution::Normal(0.0, (2.0 / fan_in as f64).sqrt());
        Convolution {
            weight: draw([k, k, self.channels_in, self.channels_out], he, device),
            stride: self.stride,
            padding: self.padding,
            algorithm: self.algorithm,
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
        self.sliding().forward(x, weight)
    }

    /// How its kernel slides.
    pub(in crate::model) fn sliding(&self) -> Sliding {
        Sliding {
            stride: self.stride,
            padding: self.padding,
            algorithm: self.algorithm,
        }
    }
}

/// A convolution with kernels `[k, k, C, O]`, without a kernel and so without a backend of its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Sliding {
    stride: usize,
    padding: Padding,
    algorithm: ConvAlgorithm,
}

/// A convolution of some kind, given its kernel.
pub(in crate::model) trait Kernel: Copy + Send + Sync {
    /// How it is computed.
    fn algorithm(self) -> ConvAlgorithm;

    /// Convolves `x` `[N, H, W, C]` with `weight`: `[N, H', W', O]`.
    fn forward<B: Backend>(self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4>;

    /// The gradients of `x`, where it is wanted, and of `weight` from that of the output; nothing
    /// but `x` need be kept from the forward pass. Computed by [`ConvAlgorithm::Im2col`].
    fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        of_output: Tensor<B, 4>,
        wants_x: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>);
}

impl Kernel for Sliding {
    fn algorithm(self) -> ConvAlgorithm {
        self.algorithm
    }

    fn forward<B: Backend>(self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        let windows = Windows::new(&x, weight.dims()[0], self.stride, self.padding);
        match self.algorithm {
            ConvAlgorithm::Backend if !windows.are_positions() => {
                forward_native(&windows, x, weight)
            }
            _ => forward_rows(&windows, x, weight),
        }
    }

    fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        of_output: Tensor<B, 4>,
        wants_x: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let windows = Windows::new(&x, weight.dims()[0], self.stride, self.padding);
        let of_weight = weight_gradient(&windows, x, of_output.clone(), weight.dims());
        let of_x = wants_x.then(|| input_gradient(&windows, of_output, weight));
        (of_x, of_weight)
    }
}

fn forward_native<B: Backend>(
    windows: &Windows,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let x = x.permute([0, 3, 1, 2]);
    let weight = weight.permute([3, 2, 0, 1]);
    conv2d(x, weight, None, windows.options(1)).permute([0, 2, 3, 1])
}

fn forward_rows<B: Backend>(
    windows: &Windows,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, channels_in, channels_out] = weight.dims();
    let weight = as_matrix(weight);
    let [h, w] = windows.output_size();
    let piece = windows.piece::<B>(channels_in, &x.device());
    let gather = piece.gather::<B>(&x.device());
    let outputs = in_pieces(x, piece.images).into_iter().map(|x| {
        let images = x.dims()[0];
        let y = gather.columns(x).matmul(weight.clone());
        y.reshape([images, h, w, channels_out])
    });
    concatenated(outputs.collect())
}

/// Columnsᵀ · gradient, summed over the pieces.
fn weight_gradient<B: Backend>(
    windows: &Windows,
    x: Tensor<B, 4>,
    of_output: Tensor<B, 4>,
    shape: [usize; 4],
) -> Tensor<B, 4> {
    let piece = windows.piece::<B>(shape[2], &x.device());
    let gather = piece.gather::<B>(&x.device());
    let of_output = in_pieces(of_output, piece.images).into_iter();
    let products = in_pieces(x, piece.images).into_iter().zip(of_output);
    let products = products.map(|(x, of_output)| {
        let columns = gather.columns(x);
        columns.transpose().matmul(as_rows(of_output))
    });
    let sum = products.reduce(Tensor::add).expect("a batch has images");
    sum.reshape(shape)
}

/// `[N, H', W', O]` → `[N, H, W, C]`.
fn input_gradient<B: Backend>(
    windows: &Windows,
    of_output: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, channels_in, channels_out] = weight.dims();
    // A convolution too, of the gradient with the kernel turned by half a turn. It reads k²·O numbers
    // for each position, the other way reads and writes k²·C.
    let mirrored = windows.mirrored();
    if let Some(mirrored) = mirrored.filter(|_| channels_out <= 2 * channels_in) {
        let turned = weight.flip([0, 1]).swap_dims(2, 3);
        return forward_rows(&mirrored, of_output, turned);
    }
    let device = of_output.device();
    let weight = as_matrix(weight).transpose();
    let piece = windows.piece::<B>(channels_in, &device);
    let gather = piece.gather::<B>(&device);
    let gradients = in_pieces(of_output, piece.images)
        .into_iter()
        .map(|of_output| {
            let images = of_output.dims()[0];
            gather.scatter(as_rows(of_output).matmul(weight.clone()), images)
        });
    concatenated(gradients.collect())
}

/// A kernel `[k, k, C, O]` as `[k·k·C, O]`.
fn as_matrix<B: Backend>(weight: Tensor<B, 4>) -> Tensor<B, 2> {
    let [k, _, channels_in, channels_out] = weight.dims();
    weight.reshape([k * k * channels_in, channels_out])
}

/// A map in pieces of so many images.
fn in_pieces<B: Backend>(map: Tensor<B, 4>, images: usize) -> Vec<Tensor<B, 4>> {
    match images >= map.dims()[0] {
        true => vec![map],
        false => map.split(images, 0),
    }
}

fn concatenated<B: Backend>(mut pieces: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Tensor::cat(pieces, 0),
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Autodiff, tensor::TensorData};

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
            native.algorithm = ConvAlgorithm::Backend;
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
    fn gradients_by_rows_are_autodiffs_whole_and_in_pieces() {
        let (one, none) = (Padding::Symmetric(1), Padding::Symmetric(0));
        for (kernel, stride, padding, channels, images, side) in [
            // In pieces of one, of two and a rest, and whole.
            (3, 1, one, [8, 8], 3, 9),
            (3, 1, one, [8, 16], 5, 5),
            (3, 1, one, [32, 128], 3, 2),
            (3, 1, one, [32, 40], 3, 2),
            (3, 2, one, [8, 24], 5, 9),
            (3, 2, Padding::Same, [3, 8], 5, 8),
            (5, 1, none, [4, 3], 3, 9),
            (1, 2, none, [6, 20], 3, 7),
            (1, 1, none, [6, 20], 3, 7),
        ] {
            let [channels_in, channels_out] = channels;
            let layer = ConvolutionConfig::new(channels_in, channels_out, kernel)
                .with_stride(stride)
                .with_padding(padding)
                .init::<AB>(&Default::default());
            let x = wave([images, side, side, channels_in]).require_grad();
            let y = layer.forward(x.clone());
            let of_output = wave(y.dims());
            let found = (y * of_output.clone()).sum().backward();
            let (of_x, of_weight) = layer.sliding().gradients(
                x.clone().inner(),
                layer.weight.val().inner(),
                of_output.inner(),
                true,
            );
            let expected = [
                x.grad(&found).unwrap(),
                layer.weight.val().grad(&found).unwrap(),
            ];
            for (own, autodiffs) in [of_x.unwrap(), of_weight].into_iter().zip(expected) {
                own.into_data().assert_approx_eq::<f32>(
                    &autodiffs.into_data(),
                    burn::tensor::Tolerance::absolute(1e-3),
                );
            }
        }
    }

    #[test]
    fn pointwise_convolution_is_burns() {
        let layer = layer(1, 1, Padding::Symmetric(0));
        let [own, ..] = results(&layer, 4);
        let x = wave([2, 4, 6, 5]);
        let windows = Windows::new(&x, 1, 1, Padding::Symmetric(0));
        let burns = forward_native(&windows, x, layer.weight.val());
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
