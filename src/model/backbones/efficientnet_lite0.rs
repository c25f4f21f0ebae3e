//! EfficientNet-Lite0 up to its last convolution: EfficientNet-B0 (Tan & Le 2019, table 1) without
//! squeeze-and-excitation and with ReLU6 instead of swish, as its authors published it for small
//! devices.
//!
//! Layers, names and constants are those of the PyPI package `efficientnet_lite_pytorch`. The
//! classifier is omitted. The package fixes the padding for images of 224 pixels; this network pads
//! according to the size of the image, which is equal at 224 pixels.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use crate::model::{
    execution::{Executor, Stages},
    layers::{
        Activation, ConvAlgorithm, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig,
        LayerOptions, Padding,
    },
};

/// Channels of the feature maps.
pub(super) const FEATURES: usize = 1280;

/// Smallest side of an image, in pixels: the map is 32 times smaller. Every halving rounds up, so
/// smaller images would work too, but the network would see mostly padding.
pub(super) const MINIMUM_IMAGE_SIZE: usize = 32;

/// This crate's and the package's names.
pub(super) const TORCH_NAMES: &[(&str, &str)] = &[
    ("stem.conv.", "_conv_stem."),
    ("stem.bn.", "_bn0."),
    ("bottlenecks.", "_blocks."),
    (".expand.conv.", "._expand_conv."),
    (".expand.bn.", "._bn0."),
    (".depthwise.conv.", "._depthwise_conv."),
    (".depthwise.bn.", "._bn1."),
    (".project.conv.", "._project_conv."),
    (".project.bn.", "._bn2."),
    ("head.conv.", "_conv_head."),
    ("head.bn.", "_bn1."),
];

/// ε of every batch norm.
const EPSILON: f64 = 1e-3;

/// Weight of a batch in the running statistics of every batch norm: one minus TensorFlow's 0.99.
const MOMENTUM: f64 = 0.01;

/// Channels after the stem.
const STEM_CHANNELS: usize = 32;

/// A sequence of blocks. The first has the stride and changes the number of channels.
struct Stage {
    blocks: usize,
    kernel_size: usize,
    stride: usize,
    expansion: usize,
    channels: usize,
}

impl Stage {
    const fn new(
        blocks: usize,
        kernel_size: usize,
        stride: usize,
        expansion: usize,
        channels: usize,
    ) -> Self {
        Self {
            blocks,
            kernel_size,
            stride,
            expansion,
            channels,
        }
    }
}

/// Stages 2 to 8 of the paper's table 1.
const STAGES: [Stage; 7] = [
    Stage::new(1, 3, 1, 1, 16),
    Stage::new(2, 3, 2, 6, 24),
    Stage::new(2, 5, 2, 6, 40),
    Stage::new(3, 3, 2, 6, 80),
    Stage::new(3, 5, 1, 6, 112),
    Stage::new(4, 5, 2, 6, 192),
    Stage::new(1, 3, 1, 6, 320),
];

fn block<B: Backend>(
    convolution: ConvolutionConfig,
    activation: Activation,
    options: LayerOptions,
    device: &B::Device,
) -> ConvolutionBlock<B> {
    let convolution = convolution
        .with_padding(Padding::Same)
        .with_algorithm(options.algorithm);
    ConvolutionBlockConfig::new(convolution)
        .with_freeze_batch_norm(options.freeze_batch_norm)
        .with_epsilon(EPSILON)
        .with_momentum(MOMENTUM)
        .with_activation(activation)
        .init(device)
}

/// 1×1 convolution to more channels, depthwise convolution, 1×1 convolution to fewer without
/// activation (MobileNetV2's inverted residual, Sandler et al. 2018, section 3.3); added to the input
/// if the shapes are equal.
#[derive(Module, Debug)]
pub struct InvertedBottleneck<B: Backend> {
    /// `None` if the expansion is 1.
    expand: Option<ConvolutionBlock<B>>,
    depthwise: ConvolutionBlock<B>,
    project: ConvolutionBlock<B>,
    residual: bool,
}

impl<B: Backend> InvertedBottleneck<B> {
    fn new(
        input: usize,
        stride: usize,
        stage: &Stage,
        options: LayerOptions,
        device: &B::Device,
    ) -> Self {
        let inner = input * stage.expansion;
        let pointwise = |input, output| ConvolutionConfig::new(input, output, 1);
        let expand = || block(pointwise(input, inner), Activation::Relu6, options, device);
        let depthwise = ConvolutionConfig::depthwise(inner, stage.kernel_size).with_stride(stride);
        let project = pointwise(inner, stage.channels);
        Self {
            expand: (stage.expansion != 1).then(expand),
            depthwise: block(depthwise, Activation::Relu6, options, device),
            project: block(project, Activation::None, options, device),
            residual: stride == 1 && input == stage.channels,
        }
    }

    fn run<'m, E: Executor<'m, B>>(&'m self, x: E::Map, executor: &mut E) -> E::Map {
        let expanded = match &self.expand {
            Some(expand) => executor.block(expand, x.clone()),
            None => x.clone(),
        };
        let filtered = executor.block(&self.depthwise, expanded);
        let projected = executor.block(&self.project, filtered);
        match self.residual {
            true => executor.sum(projected, x, Activation::None),
            false => projected,
        }
    }
}

/// EfficientNet-Lite0's convolutional part: images to maps of 1280 channels, 32 times smaller.
///
/// In training the original skips whole blocks at random (drop-connect, with probability 0 in the first
/// to 0.2 in the last block); this network does not.
#[derive(Module, Debug)]
pub struct EfficientNetLite0<B: Backend> {
    stem: ConvolutionBlock<B>,
    bottlenecks: Vec<InvertedBottleneck<B>>,
    head: ConvolutionBlock<B>,
    #[module(skip)]
    algorithm: ConvAlgorithm,
}

/// The first block of each [stage](Stages): block 0 and the blocks that halve the map.
const STARTS: [usize; 5] = [0, 1, 3, 5, 11];

impl<B: Backend> EfficientNetLite0<B> {
    /// The network with random weights.
    pub fn new(options: impl Into<LayerOptions>, device: &B::Device) -> Self {
        let options = options.into();
        let mut input = STEM_CHANNELS;
        let mut bottlenecks = Vec::new();
        for stage in &STAGES {
            for index in 0..stage.blocks {
                let stride = if index == 0 { stage.stride } else { 1 };
                bottlenecks.push(InvertedBottleneck::new(
                    input, stride, stage, options, device,
                ));
                input = stage.channels;
            }
        }
        let stem = ConvolutionConfig::new(3, STEM_CHANNELS, 3).with_stride(2);
        let head = ConvolutionConfig::new(input, FEATURES, 1);
        Self {
            stem: block(stem, Activation::Relu6, options, device),
            bottlenecks,
            head: block(head, Activation::Relu6, options, device),
            algorithm: options.algorithm,
        }
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`, sides at least 32 pixels
    /// - output: `[N, ⌈H/32⌉, ⌈W/32⌉, 1280]`, the map after the last convolution
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        Stages::forward(self, images)
    }
}

impl<B: Backend> Stages<B> for EfficientNetLite0<B> {
    fn count(&self) -> usize {
        STARTS.len()
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
        let mut x = x;
        if stage == 0 {
            x = executor.block(&self.stem, x);
            x = executor.named(|| "_conv_stem".into(), x);
        }
        let next = STARTS.get(stage + 1).copied();
        let blocks = STARTS[stage]..next.unwrap_or(self.bottlenecks.len());
        for index in blocks {
            x = self.bottlenecks[index].run(x, executor);
            x = executor.named(|| format!("_blocks.{index}"), x);
        }
        if next.is_none() {
            x = executor.block(&self.head, x);
            x = executor.named(|| "_conv_head".into(), x);
        }
        x
    }
}
