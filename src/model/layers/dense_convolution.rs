//! Convolution of all input channels with im2col and matrix products.

use burn::tensor::{Tensor, backend::Backend};

use super::im2col::{WindowGeometry, as_rows};
use crate::kernels::{matmul_tf32, sum_of_products};

/// Convolves `x` `[N, H, W, C]` with `weight` `[k, k, C, O]`: `[N, H', W', O]`.
pub(super) fn forward<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, channels_in, channels_out] = weight.dims();
    let weight = as_matrix(weight);
    let [h, w] = windows.output_size();
    let chunk = windows.chunk::<B>(channels_in, &x.device());
    let indices = chunk.indices::<B>(&x.device());
    let outputs = in_chunks(x, chunk.images).into_iter().map(|x| {
        let images = x.dims()[0];
        let y = matmul_tf32(indices.im2col(x), weight.clone());
        y.reshape([images, h, w, channels_out])
    });
    concat(outputs.collect())
}

/// The gradients of `x`, if `x_tracked`, and of `weight` from the gradient of the output.
pub(super) fn gradients<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    x_tracked: bool,
) -> (Option<Tensor<B, 4>>, Tensor<B, 4>) {
    let weight_gradient = weight_gradient(windows, x, output_gradient.clone(), weight.dims());
    let x_gradient = x_tracked.then(|| input_gradient(windows, output_gradient, weight));
    (x_gradient, weight_gradient)
}

/// im2col(x)ᵀ · gradient, summed over the chunks.
fn weight_gradient<B: Backend>(
    windows: &WindowGeometry,
    x: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    shape: [usize; 4],
) -> Tensor<B, 4> {
    let chunk = windows.chunk::<B>(shape[2], &x.device());
    let indices = chunk.indices::<B>(&x.device());
    let output_gradient = in_chunks(output_gradient, chunk.images).into_iter();
    let chunks = in_chunks(x, chunk.images).into_iter().zip(output_gradient);
    let products = chunks.map(|(x, output_gradient)| {
        let columns = indices.im2col(x);
        sum_of_products(columns, as_rows(output_gradient))
    });
    let sum = products.reduce(Tensor::add).expect("a batch has images");
    sum.reshape(shape)
}

/// `[N, H', W', O]` → `[N, H, W, C]`.
fn input_gradient<B: Backend>(
    windows: &WindowGeometry,
    output_gradient: Tensor<B, 4>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [_, _, channels_in, channels_out] = weight.dims();
    // It is also a convolution of the gradient with the kernel rotated by half a turn, which reads k²·O
    // numbers per position. The general way reads and writes k²·C.
    let transposed = windows.transposed();
    if let Some(transposed) = transposed.filter(|_| channels_out <= 2 * channels_in) {
        let rotated = weight.flip([0, 1]).swap_dims(2, 3);
        return forward(&transposed, output_gradient, rotated);
    }
    let device = output_gradient.device();
    let weight = as_matrix(weight).transpose();
    let chunk = windows.chunk::<B>(channels_in, &device);
    let indices = chunk.indices::<B>(&device);
    let gradients = in_chunks(output_gradient, chunk.images)
        .into_iter()
        .map(|output_gradient| {
            let images = output_gradient.dims()[0];
            let columns = matmul_tf32(as_rows(output_gradient), weight.clone());
            indices.col2im(columns, images)
        });
    concat(gradients.collect())
}

/// A kernel `[k, k, C, O]` as `[k·k·C, O]`.
fn as_matrix<B: Backend>(weight: Tensor<B, 4>) -> Tensor<B, 2> {
    let [k, _, channels_in, channels_out] = weight.dims();
    weight.reshape([k * k * channels_in, channels_out])
}

/// Splits a map into chunks of at most `images` images.
fn in_chunks<B: Backend>(map: Tensor<B, 4>, images: usize) -> Vec<Tensor<B, 4>> {
    match images >= map.dims()[0] {
        true => vec![map],
        false => map.split(images, 0),
    }
}

fn concat<B: Backend>(mut chunks: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    match chunks.len() {
        1 => chunks.remove(0),
        _ => Tensor::cat(chunks, 0),
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        backend::Autodiff,
        tensor::{TensorData, Tolerance},
    };

    use super::*;
    use crate::model::layers::{ConvAlgorithm, ConvolutionConfig, Padding};

    type AB = Autodiff<burn_flex::Flex>;

    /// A wave of numbers in [−1, 1], independent of other tests' random numbers.
    fn wave(shape: [usize; 4]) -> Tensor<AB, 4> {
        let count = shape.iter().product::<usize>();
        let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        Tensor::from_data(TensorData::new(wave, shape), &Default::default())
    }

    #[test]
    fn gradients_equal_autodiffs_whole_and_in_chunks() {
        let (one, none) = (Padding::Symmetric(1), Padding::Symmetric(0));
        for (kernel, stride, padding, channels, images, side) in [
            // In chunks of one, of two and a remainder, and whole.
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
            let output_gradient = wave(y.dims());
            let found = (y * output_gradient.clone()).sum().backward();
            for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
                let mut kernel = layer.kernel();
                kernel.algorithm = algorithm;
                let (x_gradient, weight_gradient) = kernel.gradients(
                    x.clone().inner(),
                    layer.weight.val().inner(),
                    output_gradient.clone().inner(),
                    true,
                );
                let expected = [
                    x.grad(&found).unwrap(),
                    layer.weight.val().grad(&found).unwrap(),
                ];
                for (own, autodiffs) in [x_gradient.unwrap(), weight_gradient]
                    .into_iter()
                    .zip(expected)
                {
                    own.into_data()
                        .assert_approx_eq::<f32>(&autodiffs.into_data(), Tolerance::absolute(1e-3));
                }
            }
        }
    }
}
