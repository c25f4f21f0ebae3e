//! Depthwise convolution without bias on channels-last feature maps.

use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Distribution, IndexingUpdateOp, Tensor, backend::Backend, module::conv2d},
};

use super::{
    ConvAlgorithm, Padding,
    batch_norm::channel_sums,
    convolution::Kernel,
    initial_weights::draw,
    windows::{Windows, as_rows},
};

/// Configuration of a [`DepthwiseConvolution`] with a square kernel.
#[derive(Config, Debug)]
pub struct DepthwiseConvolutionConfig {
    /// C, the channels of input and output.
    pub channels: usize,
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

/// Convolution of each channel with a kernel of its own, without bias, `[N, H, W, C]` →
/// `[N, H', W', C]` (MobileNet, Howard et al. 2017, eq. 3).
#[derive(Module, Debug)]
pub struct DepthwiseConvolution<B: Backend> {
    /// The kernels, `[k, k, 1, C]`; PyTorch has `[C, 1, k, k]`.
    pub weight: Param<Tensor<B, 4>>,
    stride: usize,
    #[module(skip)]
    padding: Padding,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl DepthwiseConvolutionConfig {
    /// The layer with He's normal initialisation, N(0, 2 / k²), as an output sees k² inputs.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DepthwiseConvolution<B> {
        let k = self.kernel_size;
        let he = Distribution::Normal(0.0, (2.0 / (k * k) as f64).sqrt());
        DepthwiseConvolution {
            weight: draw([k, k, 1, self.channels], he, device),
            stride: self.stride,
            padding: self.padding,
            algorithm: self.algorithm,
        }
    }
}

impl<B: Backend> DepthwiseConvolution<B> {
    /// Convolves `x`.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C]`
    /// - output: `[N, H', W', C]` with H' = (H + zeros of the padding − k) / stride + 1, rounded down
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.forward_with(x, self.weight.val())
    }

    /// Convolves `x` with every channel scaled by `scale`, `[C]`: a following channel-wise
    /// multiplication folded into the weights.
    pub fn forward_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
        self.forward_with(x, self.weight.val() * scale.unsqueeze())
    }

    fn forward_with(&self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        self.sliding().forward(x, weight)
    }

    /// How its kernels slide.
    pub(in crate::model) fn sliding(&self) -> DepthwiseSliding {
        DepthwiseSliding {
            stride: self.stride,
            padding: self.padding,
            algorithm: self.algorithm,
        }
    }
}

/// A depthwise convolution with kernels `[k, k, 1, C]`, without a kernel and so without a backend of
/// its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct DepthwiseSliding {
    stride: usize,
    padding: Padding,
    algorithm: ConvAlgorithm,
}

impl Kernel for DepthwiseSliding {
    fn algorithm(self) -> ConvAlgorithm {
        self.algorithm
    }

    fn forward<B: Backend>(self, x: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, _, _, c] = x.dims();
        let windows = Windows::new(&x, weight.dims()[0], self.stride, self.padding);
        match self.algorithm {
            ConvAlgorithm::Im2col => {
                let [h, w] = windows.output_size();
                let rows = windows.rows_and_padding(x);
                let weights = by_place(weight).into_iter().enumerate();
                let products = weights.map(|(place, weight)| {
                    rows.clone()
                        .select(0, windows.seen_at(place, &rows.device()))
                        * weight
                });
                let sum = products.reduce(Tensor::add).expect("a kernel has places");
                sum.reshape([n, h, w, c])
            }
            ConvAlgorithm::Backend => {
                let weight = weight.permute([3, 2, 0, 1]);
                let y = conv2d(x.permute([0, 3, 1, 2]), weight, None, windows.options(c));
                y.permute([0, 2, 3, 1])
            }
        }
    }

    fn gradients<B: Backend>(
        self,
        x: Tensor<B, 4>,
        weight: Tensor<B, 4>,
        of_output: Tensor<B, 4>,
        wants_x: bool,
    ) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
        let device = x.device();
        let images = x.dims()[0];
        let shape = weight.dims();
        let windows = Windows::new(&x, shape[0], self.stride, self.padding);
        let rows = windows.rows_and_padding(x);
        let of_output = as_rows(of_output);
        let mut of_rows = wants_x.then(|| rows.zeros_like());
        let mut of_weight = Vec::new();
        for (place, weight) in by_place(weight).into_iter().enumerate() {
            let seen_at = windows.seen_at::<B>(place, &device);
            let seen = rows.clone().select(0, seen_at.clone());
            of_weight.push(channel_sums(
                seen * of_output.clone(),
                images,
                self.algorithm,
            ));
            of_rows = of_rows.map(|of_rows| {
                let of_seen = of_output.clone() * weight;
                of_rows.select_assign(0, seen_at, of_seen, IndexingUpdateOp::Add)
            });
        }
        let of_x = of_rows.map(|rows| windows.without_padding(rows));
        (of_x, Tensor::cat(of_weight, 0).reshape(shape))
    }
}

/// Kernels `[k, k, 1, C]` as one row `[1, C]` for each of the k² places.
fn by_place<B: Backend>(weight: Tensor<B, 4>) -> Vec<Tensor<B, 2>> {
    let [k, _, _, c] = weight.dims();
    weight.reshape([k * k, c]).split(1, 0)
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        tensor::{TensorData, Tolerance},
    };

    use super::*;

    type AB = Autodiff<burn_flex::Flex>;

    const CHANNELS: usize = 3;
    const SIZE: [usize; 2] = [6, 7];

    /// Kernels 3 and 5, strides 1 and 2, padded as EfficientNet-Lite pads.
    const CASES: [(usize, usize); 4] = [(3, 1), (3, 2), (5, 1), (5, 2)];

    fn layer(kernel: usize, stride: usize, algorithm: ConvAlgorithm) -> DepthwiseConvolution<AB> {
        let layer = DepthwiseConvolutionConfig::new(CHANNELS, kernel)
            .with_stride(stride)
            .with_padding(Padding::Same)
            .with_algorithm(algorithm)
            .init(&Default::default());
        let weight = tensor(&wave(kernel * kernel * CHANNELS), layer.weight.dims());
        DepthwiseConvolution {
            weight: Param::from_tensor(weight),
            ..layer
        }
    }

    fn wave(count: usize) -> Vec<f64> {
        (0..count).map(|i| (i as f64 * 1.3).sin()).collect()
    }

    fn tensor(values: &[f64], shape: [usize; 4]) -> Tensor<AB, 4> {
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    /// Output, gradient of the input and gradient of the weights under the probe `wave`, by plain
    /// loops in double precision.
    fn expected(kernel: usize, stride: usize) -> [Vec<f64>; 3] {
        let [h, w] = SIZE;
        let [top, left] = SIZE.map(|side| Padding::Same.around(side, kernel, stride)[0]);
        let [h_out, w_out] = SIZE.map(|side| side.div_ceil(stride));
        let (x, weight) = (wave(h * w * CHANNELS), wave(kernel * kernel * CHANNELS));
        let probe = wave(h_out * w_out * CHANNELS);
        let mut y = vec![0.0; probe.len()];
        let (mut by_x, mut by_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        for (i, j) in (0..h_out).flat_map(|i| (0..w_out).map(move |j| (i, j))) {
            for (p, q) in (0..kernel).flat_map(|p| (0..kernel).map(move |q| (p, q))) {
                let row = (i * stride + p).checked_sub(top).filter(|&row| row < h);
                let column = (j * stride + q).checked_sub(left).filter(|&c| c < w);
                let (Some(row), Some(column)) = (row, column) else {
                    continue;
                };
                for c in 0..CHANNELS {
                    let output = (i * w_out + j) * CHANNELS + c;
                    let input = (row * w + column) * CHANNELS + c;
                    let place = (p * kernel + q) * CHANNELS + c;
                    y[output] += weight[place] * x[input];
                    by_x[input] += weight[place] * probe[output];
                    by_weight[place] += x[input] * probe[output];
                }
            }
        }
        [y, by_x, by_weight]
    }

    #[test]
    fn both_paths_are_the_plain_loops_in_value_and_gradient() {
        for (kernel, stride) in CASES {
            let [y, by_x, by_weight] = expected(kernel, stride);
            for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
                let layer = layer(kernel, stride, algorithm);
                let [h, w] = SIZE;
                let x = tensor(&wave(h * w * CHANNELS), [1, h, w, CHANNELS]).require_grad();
                let output = layer.forward(x.clone());
                let probe = tensor(&wave(y.len()), output.dims());
                let gradients = (output.clone() * probe).sum().backward();
                let found = [
                    (output.into_data(), &y),
                    (x.grad(&gradients).unwrap().into_data(), &by_x),
                    (
                        layer.weight.val().grad(&gradients).unwrap().into_data(),
                        &by_weight,
                    ),
                ];
                for (found, expected) in found {
                    let expected = TensorData::new(expected.clone(), found.shape.clone());
                    // Sums of at most 42 products of numbers up to 1 in single precision.
                    found
                        .convert::<f64>()
                        .assert_approx_eq::<f64>(&expected, Tolerance::absolute(2e-5));
                }
            }
        }
    }

    #[test]
    fn scaled_weights_scale_the_output() {
        let layer = layer(3, 2, ConvAlgorithm::Im2col);
        let [h, w] = SIZE;
        let x = tensor(&wave(h * w * CHANNELS), [1, h, w, CHANNELS]);
        let scale = Tensor::<AB, 1>::from_floats([0.5, -2.0, 3.0], &Default::default());
        let expected = layer.forward(x.clone()) * scale.clone().unsqueeze();
        let found = layer.forward_scaled(x, scale).into_data();
        found.assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }
}
