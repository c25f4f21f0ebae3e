//! GoogLeNet with batch norm, up to `inception5b` (Szegedy et al. 2015; Ioffe & Szegedy 2015).
//!
//! Layers, names and constants are torchvision's, whose "5x5" branch has 3×3 kernels. The auxiliary heads
//! and the classifier are omitted.

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

/// Channels of the feature maps.
pub(super) const FEATURES: usize = 1024;

/// Smallest side of an image, in pixels: below it, a pool's input is smaller than its window.
pub(super) const MINIMUM_IMAGE_SIZE: usize = 31;

/// This crate's and torchvision's names for the block after the pool of an inception block.
pub(super) const TORCH_NAMES: &[(&str, &str)] = &[(".branch4.", ".branch4.1.")];

/// ε of every batch norm (torchvision's `BasicConv2d`).
const EPSILON: f64 = 1e-3;

/// Halves a map; the last window may extend over the edge.
const HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 3,
    stride: 2,
    padding: 0,
    ceil_mode: true,
};

/// The last halving, with windows of 2.
const LAST_HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 2,
    stride: 2,
    padding: 0,
    ceil_mode: true,
};

/// The pool of an inception block, which keeps the size.
const BRANCH_POOL: MaxPool = MaxPool {
    kernel_size: 3,
    stride: 1,
    padding: 1,
    ceil_mode: true,
};

/// Channel counts of an [`Inception`] block, in the order of torchvision's arguments.
struct InceptionChannels {
    input: usize,
    branch1: usize,
    branch2: [usize; 2],
    branch3: [usize; 2],
    branch4: usize,
}

impl InceptionChannels {
    const fn new(channels: [usize; 7]) -> Self {
        let [input, branch1, reduce2, branch2, reduce3, branch3, branch4] = channels;
        Self {
            input,
            branch1,
            branch2: [reduce2, branch2],
            branch3: [reduce3, branch3],
            branch4,
        }
    }

    fn init<B: Backend>(&self, options: LayerOptions, device: &B::Device) -> Inception<B> {
        let block = |input, output, k| block(input, output, k, 1, options, device);
        let reduced = |[reduce, output]: [usize; 2]| {
            vec![block(self.input, reduce, 1), block(reduce, output, 3)]
        };
        Inception {
            branch1: block(self.input, self.branch1, 1),
            branch2: reduced(self.branch2),
            branch3: reduced(self.branch3),
            branch4: block(self.input, self.branch4, 1),
            algorithm: options.algorithm,
        }
    }
}

/// Convolution block of odd kernel side `k` that keeps the size at stride 1.
fn block<B: Backend>(
    input: usize,
    output: usize,
    k: usize,
    stride: usize,
    options: LayerOptions,
    device: &B::Device,
) -> ConvolutionBlock<B> {
    let convolution = ConvolutionConfig::new(input, output, k)
        .with_stride(stride)
        .with_padding(Padding::Symmetric(k / 2))
        .with_algorithm(options.algorithm);
    ConvolutionBlockConfig::new(convolution)
        .with_epsilon(EPSILON)
        .with_freeze_batch_norm(options.freeze_batch_norm)
        .init(device)
}

/// Four concatenated branches: 1×1; 1×1 then 3×3; 1×1 then 3×3; 3×3 max pool then 1×1.
#[derive(Module, Debug)]
pub struct Inception<B: Backend> {
    branch1: ConvolutionBlock<B>,
    branch2: Vec<ConvolutionBlock<B>>,
    branch3: Vec<ConvolutionBlock<B>>,
    branch4: ConvolutionBlock<B>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl<B: Backend> Inception<B> {
    fn run<'m, E: Executor<'m, B>>(&'m self, name: &str, x: E::Map, executor: &mut E) -> E::Map {
        let branch1 = executor.block(&self.branch1, x.clone());
        let [branch2, branch3] = [&self.branch2, &self.branch3].map(|blocks| {
            let apply = |map, block| executor.block(block, map);
            blocks.iter().fold(x.clone(), apply)
        });
        let pooled = executor.max_pool(BRANCH_POOL, self.algorithm, x);
        let branch4 = executor.block(&self.branch4, pooled);
        let concatenated = executor.concat_channels(vec![branch1, branch2, branch3, branch4]);
        executor.named(|| name.into(), concatenated)
    }
}

/// GoogLeNet's convolutional part: images to maps of 1024 channels, 32 times smaller.
#[derive(Module, Debug)]
pub struct GoogLeNet<B: Backend> {
    conv1: ConvolutionBlock<B>,
    conv2: ConvolutionBlock<B>,
    conv3: ConvolutionBlock<B>,
    inception3a: Inception<B>,
    inception3b: Inception<B>,
    inception4a: Inception<B>,
    inception4b: Inception<B>,
    inception4c: Inception<B>,
    inception4d: Inception<B>,
    inception4e: Inception<B>,
    inception5a: Inception<B>,
    inception5b: Inception<B>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl<B: Backend> GoogLeNet<B> {
    /// The network with random weights.
    pub fn new(options: impl Into<LayerOptions>, device: &B::Device) -> Self {
        let options = options.into();
        let inception = |channels| InceptionChannels::new(channels).init(options, device);
        Self {
            conv1: block(3, 64, 7, 2, options, device),
            conv2: block(64, 64, 1, 1, options, device),
            conv3: block(64, 192, 3, 1, options, device),
            inception3a: inception([192, 64, 96, 128, 16, 32, 32]),
            inception3b: inception([256, 128, 128, 192, 32, 96, 64]),
            inception4a: inception([480, 192, 96, 208, 16, 48, 64]),
            inception4b: inception([512, 160, 112, 224, 24, 64, 64]),
            inception4c: inception([512, 128, 128, 256, 24, 64, 64]),
            inception4d: inception([512, 112, 144, 288, 32, 64, 64]),
            inception4e: inception([528, 256, 160, 320, 32, 128, 128]),
            inception5a: inception([832, 256, 160, 320, 32, 128, 128]),
            inception5b: inception([832, 384, 192, 384, 48, 128, 128]),
            algorithm: options.algorithm,
        }
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`, sides at least 31 pixels
    /// - output: `[N, h, w, 1024]`, the map after `inception5b`
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        Stages::forward(self, images)
    }
}

impl<B: Backend> Stages<B> for GoogLeNet<B> {
    fn count(&self) -> usize {
        5
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
        match stage {
            0 => {
                let x = executor.block(&self.conv1, x);
                let x = executor.named(|| "conv1".into(), x);
                let x = executor.max_pool(HALVING_POOL, self.algorithm, x);
                let x = executor.named(|| "maxpool1".into(), x);
                let x = executor.block(&self.conv2, x);
                let x = executor.named(|| "conv2".into(), x);
                let x = executor.block(&self.conv3, x);
                let x = executor.named(|| "conv3".into(), x);
                let x = executor.max_pool(HALVING_POOL, self.algorithm, x);
                executor.named(|| "maxpool2".into(), x)
            }
            1 => {
                let x = self.inception3a.run("inception3a", x, executor);
                let x = self.inception3b.run("inception3b", x, executor);
                executor.max_pool(HALVING_POOL, self.algorithm, x)
            }
            2 => {
                let x = self.inception4a.run("inception4a", x, executor);
                let x = self.inception4b.run("inception4b", x, executor);
                self.inception4c.run("inception4c", x, executor)
            }
            3 => {
                let x = self.inception4d.run("inception4d", x, executor);
                let x = self.inception4e.run("inception4e", x, executor);
                executor.max_pool(LAST_HALVING_POOL, self.algorithm, x)
            }
            _ => {
                let x = self.inception5a.run("inception5a", x, executor);
                self.inception5b.run("inception5b", x, executor)
            }
        }
    }
}
