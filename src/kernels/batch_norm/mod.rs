//! Batch norm and the activation after it, forward and backward, in two passes over the map each way.
//!
//! Burn's operations would make about twelve passes forward and fifteen backward. Maps are read and written in
//! their number format; everything is computed in f32.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod backward_kernels;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod forward_kernels;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The function after the batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// The identity.
    Nothing,
}

/// The parameters of a batch norm, `[C]` each.
#[derive(Debug, Clone)]
pub struct Parameters<B: Backend> {
    /// γ.
    pub weight: Tensor<B, 1>,
    /// β.
    pub bias: Tensor<B, 1>,
    /// ε, added to the variance.
    pub epsilon: f64,
}

/// The running statistics of a batch norm, `[C]` each.
#[derive(Debug, Clone)]
pub struct Running<B: Backend> {
    /// Of the means.
    pub mean: Tensor<B, 1>,
    /// Of the unbiased variances.
    pub variance: Tensor<B, 1>,
    /// Weight of a batch, 0 to 1.
    pub momentum: f64,
}

/// The statistics of a batch, `[C]` each.
#[derive(Debug, Clone)]
pub struct Statistics<B: Backend> {
    /// μ.
    pub mean: Tensor<B, 1>,
    /// 1 / √(σ² + ε).
    pub inverse: Tensor<B, 1>,
}

/// The gradients of the inputs of a batch norm.
#[derive(Debug, Clone)]
pub struct Gradients<B: Backend> {
    /// Of the map, in its shape and number format.
    pub x: Tensor<B, 4>,
    /// Of γ, `[C]`.
    pub weight: Tensor<B, 1>,
    /// Of β, `[C]`.
    pub bias: Tensor<B, 1>,
}

/// Normalises `x` `[N, H, W, C]` with the statistics of its N·H·W positions and applies the activation
/// (Ioffe & Szegedy 2015, algorithm 1). The output has the shape and the number format of `x`. Also returns the
/// running statistics with this batch. The variance of a single position counts as 0.
///
/// `None` if [no kernel is available](super::available).
pub fn forward<B: Backend>(
    x: Tensor<B, 4>,
    parameters: &Parameters<B>,
    running: Running<B>,
    then: Then,
) -> Option<(Tensor<B, 4>, Statistics<B>, Running<B>)> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        forward_kernels::forward(x, parameters, running, then)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, parameters, running, then);
        None
    }
}

/// The gradients of [`forward`], given its `x`, its statistics and the gradient of its output.
///
/// With x̂ = (x − μ)/√(σ² + ε), L = N·H·W and g the gradient before the activation: ∂β = Σg, ∂γ = Σg x̂,
/// ∂x = γ/√(σ² + ε) · (g − ∂β/L − x̂ ∂γ/L) (section 3).
///
/// `None` if [no kernel is available](super::available).
pub fn backward<B: Backend>(
    x: Tensor<B, 4>,
    output_gradient: Tensor<B, 4>,
    parameters: &Parameters<B>,
    statistics: &Statistics<B>,
    then: Then,
) -> Option<Gradients<B>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        backward_kernels::backward(x, output_gradient, parameters, statistics, then)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, output_gradient, parameters, statistics, then);
        None
    }
}
