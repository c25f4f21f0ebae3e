//! Depthwise convolutions: forward and backward in one pass over the maps each.
//!
//! Burn's backward pass launches a kernel for every channel. Maps are read and written in their number format;
//! products are added in f32.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::windows::Windows;

/// Convolves each channel of `x` `[N, H, W, C]` with its filter in `weight` `[k, k, 1, C]`, which has the number
/// format of `x`: `[N, H', W', C]`.
///
/// `None` if [no kernel is available](super::available).
pub fn forward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        cube::forward(x, weight, windows)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, weight, windows);
        None
    }
}

/// The gradient of `x` from `weight` and the gradient of the output, in its number format.
///
/// `None` if [no kernel is available](super::available).
pub fn x_gradient<B: Backend>(
    weight: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        cube::x_gradient(weight, output_gradient, windows)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (weight, output_gradient, windows);
        None
    }
}

/// The gradient of `weight` in f32, from `x` and the gradient of the output.
///
/// `None` if [no kernel is available](super::available).
pub fn weight_gradient<B: Backend>(
    x: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    windows: Windows,
) -> Option<Tensor<B, 4>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        cube::weight_gradient(x, output_gradient, windows)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, output_gradient, windows);
        None
    }
}
