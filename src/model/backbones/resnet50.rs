//! ResNet-50 up to its last residual block (He et al. 2016, table 1).
//!
//! Layers, names and constants are torchvision's. It has the stride of a halving block in the 3×3
//! convolution ("v1.5"), not in the 1×1 convolution before it. The classifier is omitted.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use crate::model::{
    execution::{Executor, Stages},
    layers::{
        Activation, ConvAlgorithm, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig,
        LayerOptions, MaxPool, Padding,
    },
};

/// Channels of the feature maps.
pub(super) const FEATURES: usize = EXPANSION * WIDTHS[3];

/// Smallest side of an image, in pixels: the map is 32 times smaller. Every halving rounds up, so
/// smaller images would work too, but the network would see mostly padding.
pub(super) const MINIMUM_IMAGE_SIZE: usize = 32;

/// This crate's and torchvision's names.
pub(super) const TORCH_NAMES: &[(&str, &str)] = &[
    ("root.conv.", "conv1."),
    ("root.bn.", "bn1."),
    (".reduce.conv.", ".conv1."),
    (".reduce.bn.", ".bn1."),
    (".spatial.conv.", ".conv2."),
    (".spatial.bn.", ".bn2."),
    (".restore.conv.", ".conv3."),
    (".restore.bn.", ".bn3."),
    (".downsample.conv.", ".downsample.0."),
    (".downsample.bn.", ".downsample.1."),
];

/// Channels after the first convolution.
const ROOT_CHANNELS: usize = 64;

/// Channels of the 3×3 convolutions in each layer.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// Blocks in each layer.
const BLOCKS: [usize; 4] = [3, 4, 6, 3];

/// Output channels of a block per channel of its 3×3 convolution.
const EXPANSION: usize = 4;

/// Halves a map after the first convolution; remaining positions that do not fill a window are ignored.
const HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 3,
    stride: 2,
    padding: 1,
    ceil_mode: false,
};

/// Convolution block of odd kernel side `k` that keeps the size at stride 1.
fn block(input: usize, output: usize, k: usize, options: LayerOptions) -> ConvolutionBlockConfig {
    let convolution = ConvolutionConfig::new(input, output, k)
        .with_padding(Padding::Symmetric(k / 2))
        .with_algorithm(options.algorithm);
    ConvolutionBlockConfig::new(convolution).with_freeze_batch_norm(options.freeze_batch_norm)
}

fn strided(mut block: ConvolutionBlockConfig, stride: usize) -> ConvolutionBlockConfig {
    block.convolution.stride = stride;
    block
}

/// 1×1, 3×3 and 1×1 convolution, added to the input: y = ReLU(F(x) + x) (He et al. 2016, eq. 1 and
/// figure 5, right).
#[derive(Module, Debug)]
pub struct Bottleneck<B: Backend> {
    reduce: ConvolutionBlock<B>,
    spatial: ConvolutionBlock<B>,
    restore: ConvolutionBlock<B>,
    /// The projection of x (eq. 2), if the shapes of input and output differ.
    downsample: Option<ConvolutionBlock<B>>,
}

impl<B: Backend> Bottleneck<B> {
    fn new(
        input: usize,
        width: usize,
        stride: usize,
        options: LayerOptions,
        device: &B::Device,
    ) -> Self {
        let output = EXPANSION * width;
        let linear = |block: ConvolutionBlockConfig| block.with_activation(Activation::None);
        let projects = stride != 1 || input != output;
        let downsample = || linear(strided(block(input, output, 1, options), stride)).init(device);
        Self {
            reduce: block(input, width, 1, options).init(device),
            spatial: strided(block(width, width, 3, options), stride).init(device),
            restore: linear(block(width, output, 1, options)).init(device),
            downsample: projects.then(downsample),
        }
    }

    fn run<'m, E: Executor<'m, B>>(&'m self, x: E::Map, executor: &mut E) -> E::Map {
        let residual = executor.block(&self.reduce, x.clone());
        let residual = executor.block(&self.spatial, residual);
        let residual = executor.block(&self.restore, residual);
        let identity = match &self.downsample {
            Some(downsample) => executor.block(downsample, x),
            None => x,
        };
        executor.sum(residual, identity, Activation::Relu)
    }
}

/// ResNet-50's convolutional part: images to maps of 2048 channels, 32 times smaller.
#[derive(Module, Debug)]
pub struct ResNet50<B: Backend> {
    root: ConvolutionBlock<B>,
    layer1: Vec<Bottleneck<B>>,
    layer2: Vec<Bottleneck<B>>,
    layer3: Vec<Bottleneck<B>>,
    layer4: Vec<Bottleneck<B>>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

impl<B: Backend> ResNet50<B> {
    /// The network with random weights.
    pub fn new(options: impl Into<LayerOptions>, device: &B::Device) -> Self {
        let options = options.into();
        let inputs = [
            ROOT_CHANNELS,
            EXPANSION * WIDTHS[0],
            EXPANSION * WIDTHS[1],
            EXPANSION * WIDTHS[2],
        ];
        let layer = |index: usize| {
            let (width, halves) = (WIDTHS[index], index > 0);
            let first = Bottleneck::new(
                inputs[index],
                width,
                1 + usize::from(halves),
                options,
                device,
            );
            let more = (1..BLOCKS[index])
                .map(|_| Bottleneck::new(EXPANSION * width, width, 1, options, device));
            std::iter::once(first).chain(more).collect()
        };
        Self {
            root: strided(block(3, ROOT_CHANNELS, 7, options), 2).init(device),
            layer1: layer(0),
            layer2: layer(1),
            layer3: layer(2),
            layer4: layer(3),
            algorithm: options.algorithm,
        }
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`, sides at least 32 pixels
    /// - output: `[N, ⌈H/32⌉, ⌈W/32⌉, 2048]`, the map after `layer4`
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        Stages::forward(self, images)
    }
}

impl<B: Backend> Stages<B> for ResNet50<B> {
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
        let layer = match stage {
            0 => {
                let x = executor.block(&self.root, x);
                let x = executor.max_pool(HALVING_POOL, self.algorithm, x);
                return executor.named(|| "maxpool".into(), x);
            }
            1 => &self.layer1,
            2 => &self.layer2,
            3 => &self.layer3,
            _ => &self.layer4,
        };
        layer.iter().enumerate().fold(x, |x, (index, block)| {
            let x = block.run(x, executor);
            executor.named(|| format!("layer{stage}.{index}"), x)
        })
    }
}
