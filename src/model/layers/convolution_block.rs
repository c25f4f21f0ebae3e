//! Convolution, batch norm and ReLU: torchvision's `BasicConv2d`.

use burn::{
    config::Config,
    module::Module,
    tensor::{Tensor, activation::relu, backend::Backend},
};

use super::{BatchNorm, BatchNormConfig, Convolution, ConvolutionConfig};

/// Configuration of a [`ConvolutionBlock`].
#[derive(Config, Debug)]
pub struct ConvolutionBlockConfig {
    /// The convolution.
    pub convolution: ConvolutionConfig,
    /// ε of the batch norm.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

/// ReLU of the batch norm of a convolution, `[N, H, W, C_in]` → `[N, H', W', C_out]`.
#[derive(Module, Debug)]
pub struct ConvolutionBlock<B: Backend> {
    /// The convolution.
    pub conv: Convolution<B>,
    /// The batch norm.
    pub bn: BatchNorm<B>,
}

impl ConvolutionBlockConfig {
    /// The block with its layers' own initialisations.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ConvolutionBlock<B> {
        ConvolutionBlock {
            conv: self.convolution.init(device),
            bn: BatchNormConfig::new(self.convolution.channels_out)
                .with_epsilon(self.epsilon)
                .init(device),
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
        let normalised = match B::ad_enabled(&x.device()) {
            true => self.bn.forward_train(self.conv.forward(x)),
            false => {
                let (factor, offset) = self.bn.inference_affine();
                self.conv.forward_scaled(x, factor) + offset.unsqueeze()
            }
        };
        relu(normalised)
    }
}
