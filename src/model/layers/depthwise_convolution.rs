//! Depthwise convolution with im2col (for every tap of the kernel, a selection of rows and an element-wise
//! product), and with kernels for GPUs.

use burn::tensor::{IndexingUpdateOp, Tensor, backend::Backend};

use super::{
    ConvAlgorithm,
    batch_norm::channel_sums,
    im2col::{WindowGeometry, as_rows},
};
use crate::kernels::depthwise as kernels;

/// Convolves each channel of `x` `[N, H, W, C]` with its filter in `weight` `[k, k, 1, C]`:
/// `[N, H', W', C]`.
pub(super) fn forward<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [n, _, _, c] = x.dims();
    let [h, w] = windows.output_size();
    let rows = windows.padded_rows(x);
    let weights = by_tap(weight).into_iter().enumerate();
    let products = weights.map(|(tap, weight)| {
        rows.clone()
            .select(0, windows.tap_rows(tap, &rows.device()))
            * weight
    });
    let sum = products.reduce(Tensor::add).expect("a kernel has taps");
    sum.reshape([n, h, w, c])
}

/// The gradients of `x`, if `x_tracked`, and of `weight` from the gradient of the output.
pub(super) fn gradients<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    x_tracked: bool,
) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
    let device = x.device();
    let images = x.dims()[0];
    let shape = weight.dims();
    let rows = windows.padded_rows(x);
    let output_gradient = as_rows(output_gradient);
    let mut rows_gradient = x_tracked.then(|| rows.zeros_like());
    let mut weight_gradient = Vec::new();
    for (tap, weight) in by_tap(weight).into_iter().enumerate() {
        let indices = windows.tap_rows::<B>(tap, &device);
        let selected = rows.clone().select(0, indices.clone());
        weight_gradient.push(channel_sums(
            selected * output_gradient.clone(),
            images,
            ConvAlgorithm::Im2col,
        ));
        rows_gradient = rows_gradient.map(|rows_gradient| {
            let selected_gradient = output_gradient.clone() * weight;
            rows_gradient.select_assign(0, indices, selected_gradient, IndexingUpdateOp::Add)
        });
    }
    let x_gradient = rows_gradient.map(|rows| windows.unpadded_map(rows));
    (x_gradient, Tensor::cat(weight_gradient, 0).reshape(shape))
}

/// [`forward`] by the kernels of this project, or by Burn's.
pub(super) fn forward_on_gpu<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let channels = x.dims()[3];
    kernels::forward(x.clone(), weight.clone(), windows.kernel_windows())
        .unwrap_or_else(|| windows.conv2d(x, weight, channels))
}

/// [`gradients`] by the kernels of this project, or by Burn's.
pub(super) fn gradients_on_gpu<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    x_tracked: bool,
) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
    let of_kernels = windows.kernel_windows();
    match kernels::weight_gradient(x.clone(), output_gradient.clone(), of_kernels) {
        Some(weight_gradient) => {
            let x_gradient = match x_tracked {
                true => kernels::x_gradient(weight, output_gradient, of_kernels),
                false => None,
            };
            (x_gradient, weight_gradient)
        }
        None => {
            let channels = x.dims()[3];
            windows.conv2d_gradients(x, weight, output_gradient, x_tracked, channels)
        }
    }
}

/// Filters `[k, k, 1, C]` as a row `[1, C]` per tap.
fn by_tap<B: Backend>(weight: Tensor<B, 4>) -> Vec<Tensor<B, 2>> {
    let [k, _, _, c] = weight.dims();
    weight.reshape([k * k, c]).split(1, 0)
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        module::Param,
        tensor::{TensorData, Tolerance},
    };

    use super::*;
    use crate::model::layers::{Convolution, ConvolutionConfig, Padding};

    type AB = Autodiff<burn_flex::Flex>;

    const CHANNELS: usize = 3;
    const SIZE: [usize; 2] = [6, 7];

    /// Kernel sides 3 and 5, strides 1 and 2, with EfficientNet-Lite's padding.
    const CASES: [(usize, usize); 4] = [(3, 1), (3, 2), (5, 1), (5, 2)];

    fn layer(kernel: usize, stride: usize, algorithm: ConvAlgorithm) -> Convolution<AB> {
        let mut layer = ConvolutionConfig::depthwise(CHANNELS, kernel)
            .with_stride(stride)
            .with_padding(Padding::Same)
            .with_algorithm(algorithm)
            .init(&Default::default());
        let weight = tensor(&wave(kernel * kernel * CHANNELS), layer.weight.dims());
        layer.weight = Param::from_tensor(weight);
        layer
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
        let (mut x_gradient, mut weight_gradient) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
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
                    let tap = (p * kernel + q) * CHANNELS + c;
                    y[output] += weight[tap] * x[input];
                    x_gradient[input] += weight[tap] * probe[output];
                    weight_gradient[tap] += x[input] * probe[output];
                }
            }
        }
        [y, x_gradient, weight_gradient]
    }

    #[test]
    fn both_algorithms_equal_plain_loops_in_value_and_gradient() {
        for (kernel, stride) in CASES {
            let [y, x_gradient, weight_gradient] = expected(kernel, stride);
            for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
                let layer = layer(kernel, stride, algorithm);
                let [h, w] = SIZE;
                let x = tensor(&wave(h * w * CHANNELS), [1, h, w, CHANNELS]).require_grad();
                let output = layer.forward(x.clone());
                let probe = tensor(&wave(y.len()), output.dims());
                let gradients = (output.clone() * probe.clone()).sum().backward();
                let (own_x_gradient, own_weight_gradient) = layer.kernel().gradients(
                    x.clone().inner(),
                    layer.weight.val().inner(),
                    probe.inner(),
                    true,
                );
                let found = [
                    (own_x_gradient.unwrap().into_data(), &x_gradient),
                    (own_weight_gradient.into_data(), &weight_gradient),
                    (output.into_data(), &y),
                    (x.grad(&gradients).unwrap().into_data(), &x_gradient),
                    (
                        layer.weight.val().grad(&gradients).unwrap().into_data(),
                        &weight_gradient,
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
