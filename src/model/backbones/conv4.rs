//! Conv4: four convolution blocks for images of 32 to 64 pixels.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use crate::model::{
    execution::{Executor, Stages},
    layers::{
        ConvAlgorithm, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig, LayerOptions,
        MaxPool, Padding,
    },
};

/// Channels after each block. They double when the map is halved, so that the first block, which has
/// the most positions, does not take most of the time.
const WIDTHS: [usize; 4] = [16, 32, 64, 128];

/// Channels of the feature maps.
pub(super) const FEATURES: usize = WIDTHS[3];

/// Smallest side of an image, in pixels: four halvings leave one position.
pub(super) const MINIMUM_IMAGE_SIZE: usize = 16;

/// Halves a map; an odd last row or column is a separate window.
const HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 2,
    stride: 2,
    padding: 0,
    ceil_mode: true,
};

/// Four blocks of 3×3 convolution, batch norm, ReLU and 2×2 max pool, after the usual network of
/// few-shot learning (Vinyals et al. 2016, section 4.1), with widths chosen for CPUs.
#[derive(Module, Debug)]
pub struct Conv4<B: Backend> {
    blocks: Vec<ConvolutionBlock<B>>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl<B: Backend> Conv4<B> {
    /// The network with random weights.
    pub fn new(options: impl Into<LayerOptions>, device: &B::Device) -> Self {
        let options = options.into();
        let inputs = [3, WIDTHS[0], WIDTHS[1], WIDTHS[2]];
        let block = |(input, output)| {
            let convolution = ConvolutionConfig::new(input, output, 3)
                .with_padding(Padding::Symmetric(1))
                .with_algorithm(options.algorithm);
            ConvolutionBlockConfig::new(convolution)
                .with_freeze_batch_norm(options.freeze_batch_norm)
                .init(device)
        };
        Self {
            blocks: inputs.into_iter().zip(WIDTHS).map(block).collect(),
            algorithm: options.algorithm,
        }
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`, sides at least 16 pixels
    /// - output: `[N, ⌈H/16⌉, ⌈W/16⌉, 128]`
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        Stages::forward(self, images)
    }

    #[cfg(test)]
    pub(in crate::model) fn norms(
        &self,
    ) -> impl Iterator<Item = &crate::model::layers::BatchNorm<B>> {
        self.blocks.iter().map(|block| &block.bn)
    }

    /// Multiplies the weights and γ of the last block.
    #[cfg(test)]
    pub(in crate::model) fn scale_last_block(&mut self, weights: f64, gamma: f64) {
        use burn::module::Param;
        let last = self.blocks.last_mut().expect("it has four");
        let scaled = last.conv.weight.val() * weights;
        last.conv.weight = Param::from_tensor(scaled.detach());
        let scaled = last.bn.weight.val() * gamma;
        last.bn.weight = Param::from_tensor(scaled.detach());
    }
}

impl<B: Backend> Stages<B> for Conv4<B> {
    fn count(&self) -> usize {
        self.blocks.len()
    }

    fn algorithm(&self) -> ConvAlgorithm {
        self.algorithm
    }

    fn stage<'m, E: Executor<'m, B>>(
        &'m self,
        stage: usize,
        x: E::Map,
        executor: &mut E,
    ) -> E::Map {
        let x = executor.block(&self.blocks[stage], x);
        executor.max_pool(HALVING_POOL, self.algorithm, x)
    }
}
