//! Convolution, batch norm and activation: with ReLU, torchvision's `BasicConv2d`.

use burn::{
    config::Config,
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{
    Activation, BatchNorm, BatchNormConfig, Convolution, ConvolutionConfig, DepthwiseConvolution,
    DepthwiseConvolutionConfig,
};

/// Configuration of a [`ConvolutionBlock`].
#[derive(Config, Debug)]
pub struct ConvolutionBlockConfig {
    /// The convolution.
    pub convolution: ConvolutionConfig,
    /// ε of the batch norm.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics of the batch norm, 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
    /// What follows the batch norm.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
}

/// Configuration of a [`DepthwiseBlock`].
#[derive(Config, Debug)]
pub struct DepthwiseBlockConfig {
    /// The convolution.
    pub convolution: DepthwiseConvolutionConfig,
    /// ε of the batch norm.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics of the batch norm, 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
    /// What follows the batch norm.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
}

/// Activation of the batch norm of a convolution, `[N, H, W, C_in]` → `[N, H', W', C_out]`.
#[derive(Module, Debug)]
pub struct ConvolutionBlock<B: Backend> {
    /// The convolution.
    pub conv: Convolution<B>,
    /// The batch norm.
    pub bn: BatchNorm<B>,
    #[module(skip)]
    pub(in crate::model) activation: Activation,
}

/// Activation of the batch norm of a depthwise convolution, `[N, H, W, C]` → `[N, H', W', C]`.
#[derive(Module, Debug)]
pub struct DepthwiseBlock<B: Backend> {
    /// The convolution.
    pub conv: DepthwiseConvolution<B>,
    /// The batch norm.
    pub bn: BatchNorm<B>,
    #[module(skip)]
    pub(in crate::model) activation: Activation,
}

impl ConvolutionBlockConfig {
    /// The block with its layers' own initialisations.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ConvolutionBlock<B> {
        ConvolutionBlock {
            conv: self.convolution.init(device),
            bn: BatchNormConfig::new(self.convolution.channels_out)
                .with_epsilon(self.epsilon)
                .with_momentum(self.momentum)
                .init(device),
            activation: self.activation,
        }
    }
}

impl DepthwiseBlockConfig {
    /// The block with its layers' own initialisations.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DepthwiseBlock<B> {
        DepthwiseBlock {
            conv: self.convolution.init(device),
            bn: BatchNormConfig::new(self.convolution.channels)
                .with_epsilon(self.epsilon)
                .with_momentum(self.momentum)
                .init(device),
            activation: self.activation,
        }
    }
}

impl<B: Backend> ConvolutionBlock<B> {
    /// Applies the block: with the batch's statistics where the backend tracks gradients, else
    /// with the running statistics folded into the convolution's weights.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C_in]`
    /// - output: `[N, H', W', C_out]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation
            .forward(normalised(&self.conv, &self.bn, x, true))
    }

    /// The same for a batch that the running statistics have taken before.
    pub(in crate::model) fn forward_again(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation
            .forward(normalised(&self.conv, &self.bn, x, false))
    }
}

impl<B: Backend> DepthwiseBlock<B> {
    /// Applies the block as [`ConvolutionBlock::forward`] does.
    ///
    /// # Shapes
    /// - `x`: `[N, H, W, C]`
    /// - output: `[N, H', W', C]`
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation
            .forward(normalised(&self.conv, &self.bn, x, true))
    }

    /// The same for a batch that the running statistics have taken before.
    pub(in crate::model) fn forward_again(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.activation
            .forward(normalised(&self.conv, &self.bn, x, false))
    }
}

fn normalised<B: Backend>(
    convolution: &impl Convolve<B>,
    batch_norm: &BatchNorm<B>,
    x: Tensor<B, 4>,
    updates_statistics: bool,
) -> Tensor<B, 4> {
    match B::ad_enabled(&x.device()) {
        true => batch_norm.normalised(convolution.convolve(x), updates_statistics),
        false => {
            let (factor, offset) = batch_norm.inference_affine();
            convolution.convolve_scaled(x, factor) + offset.unsqueeze()
        }
    }
}

/// What the two blocks need of their convolutions.
trait Convolve<B: Backend> {
    fn convolve(&self, x: Tensor<B, 4>) -> Tensor<B, 4>;
    fn convolve_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4>;
}

impl<B: Backend> Convolve<B> for Convolution<B> {
    fn convolve(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.forward(x)
    }

    fn convolve_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
        self.forward_scaled(x, scale)
    }
}

impl<B: Backend> Convolve<B> for DepthwiseConvolution<B> {
    fn convolve(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.forward(x)
    }

    fn convolve_scaled(&self, x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
        self.forward_scaled(x, scale)
    }
}
