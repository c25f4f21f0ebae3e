//! Convolutions by one algorithm, for the reasons of [matrix products](super::matmul()).
//!
//! Convolutions on matrix units gather the windows as they go (implicit im2col). Burn has no such kernel for the gradient
//! of the input of a convolution with a stride; that one, and every convolution of a device without matrix units, is
//! computed directly. The gradient of the weights is a sum over all positions of a batch with few results, which Burn
//! computes with few threads: here it is a matrix product of the windows, split along the positions.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::ConvOptions;

use super::arithmetic::{Arithmetic, arithmetic};
use super::im2col::im2col;
use super::matmul::sum_of_products;
use super::windows::Windows;

/// Convolves `x` `[N, C, H, W]` with `weight` `[O, C, k, k]`: `[N, O, H', W']`.
///
/// `None` if [no kernel is available](super::available), or if products are [autotuned](Arithmetic::Autotuned).
pub fn forward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    options: &ConvOptions<2>,
) -> Option<Tensor<B, 4>> {
    run([x, weight], Pass::Forward, options)
}

/// The gradient of the input, of shape `[N, C, H, W]`, from `weight` and the gradient of the output.
///
/// `None` as [`forward`].
pub fn x_gradient<B: Backend>(
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    shape: [usize; 4],
    options: &ConvOptions<2>,
) -> Option<Tensor<B, 4>> {
    run([weight, output_gradient], Pass::XGradient(shape), options)
}

/// The gradient of the weights in f32, `[k, k, C, O]`, from `x` `[N, H, W, C]` and the gradient of the output
/// `[N, H', W', O]`: a matrix product of the values in the windows, some images at a time.
///
/// `None` as [`forward`].
pub fn weight_gradient<B: Backend>(
    x: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    /// The most numbers of a matrix of windows: 256 MiB in f32.
    const MOST: usize = 64 << 20;
    if !super::available::<B>() || arithmetic() == Arithmetic::Autotuned {
        return None;
    }
    let [images, _, _, channels] = x.dims();
    let [_, height, width, outputs] = output_gradient.dims();
    let inner = windows.kernel * windows.kernel * channels;
    let at_once = (MOST / (height * width * inner)).clamp(1, images);
    let parts = x.split(at_once, 0).into_iter();
    let parts = parts.zip(output_gradient.split(at_once, 0));
    let products = parts.map(|(x, gradient)| {
        let columns = im2col(x, windows).expect("kernels are available");
        let rows = columns.dims()[0];
        sum_of_products(columns, gradient.reshape([rows, outputs]))
    });
    let sum = products.reduce(Tensor::add).expect("a batch has images");
    Some(sum.reshape([windows.kernel, windows.kernel, channels, outputs]))
}

/// What is computed from two tensors.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(any(feature = "wgpu", feature = "cuda")),
    expect(dead_code, reason = "only kernels read the shape")
)]
enum Pass {
    /// From the input and the weights.
    Forward,
    /// From the weights and the gradient of the output: the shape of the input.
    XGradient([usize; 4]),
}

fn run<B: Backend>(
    inputs: [Tensor<B, 4>; 2],
    pass: Pass,
    options: &ConvOptions<2>,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if arithmetic() != Arithmetic::Autotuned {
        let inputs = inputs.map(super::launch::primitive);
        let kernel = cube::Convolution { pass, options };
        let [output] = super::launch::run::<B, 2, 1>(inputs, kernel)?;
        return Some(super::launch::tensor(output));
    }
    let _ = (inputs, pass, options);
    None
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube {
    use burn::tensor::ops::ConvOptions;
    use burn_cubecl::CubeRuntime;
    use burn_cubecl::kernel::conv::{ConvStrategy, conv_data_backward, conv_forward};
    use burn_cubecl::tensor::CubeTensor;

    use super::Pass;
    use crate::kernels::arithmetic::{Arithmetic, arithmetic};
    use crate::kernels::launch::Kernel;

    pub(super) struct Convolution<'a> {
        pub(super) pass: Pass,
        pub(super) options: &'a ConvOptions<2>,
    }

    impl Kernel<2, 1> for Convolution<'_> {
        fn launch<R: CubeRuntime>(self, [first, second]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
            let compute = |strategy| {
                let (first, second, options) =
                    (first.clone(), second.clone(), self.options.clone());
                match self.pass {
                    Pass::Forward => conv_forward(first, second, None, options, strategy),
                    Pass::XGradient(shape) => {
                        conv_data_backward(second, first, shape.into(), options, strategy)
                    }
                }
            };
            let output = match arithmetic() {
                Arithmetic::Exact => compute(ConvStrategy::Direct),
                _ => compute(ConvStrategy::ImplicitGemm).or_else(|_| compute(ConvStrategy::Direct)),
            };
            [output.expect("Burn computes every convolution directly")]
        }
    }
}
