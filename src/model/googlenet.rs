//! GoogLeNet with batch norm, up to `inception5b` (Szegedy et al. 2015; Ioffe & Szegedy 2015).
//!
//! Layers, names and constants are torchvision's, whose "5x5" branch has 3×3 kernels. There are no
//! auxiliary heads and no classifier.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::layers::{
    ComputePath, ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig, MaxPool, Padding,
};

/// Channels of the feature maps.
pub(super) const FEATURES: usize = 1024;

/// Smallest side of an image, in pixels: below it, a pool would get a map smaller than its window.
pub(super) const MINIMUM_IMAGE_SIZE: usize = 31;

/// This crate's name for the block after the pool of an inception block, and torchvision's.
pub(super) const TORCH_NAMES: &[(&str, &str)] = &[(".branch4.", ".branch4.1.")];

/// ε of every batch norm (torchvision's `BasicConv2d`).
const EPSILON: f64 = 1e-3;

/// Halves a map; the last window may hang over the edge.
const HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 3,
    stride: 2,
    padding: 0,
    ceil_mode: true,
};

/// The last halving has windows of 2.
const LAST_HALVING_POOL: MaxPool = MaxPool {
    kernel_size: 2,
    stride: 2,
    padding: 0,
    ceil_mode: true,
};

/// The pool inside an inception block keeps the size.
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

    fn init<B: Backend>(&self, path: ComputePath, device: &B::Device) -> Inception<B> {
        let block = |input, output, k| block(input, output, k, 1, path, device);
        let reduced = |[reduce, output]: [usize; 2]| {
            vec![block(self.input, reduce, 1), block(reduce, output, 3)]
        };
        Inception {
            branch1: block(self.input, self.branch1, 1),
            branch2: reduced(self.branch2),
            branch3: reduced(self.branch3),
            branch4: block(self.input, self.branch4, 1),
            path,
        }
    }
}

/// Convolution block of odd kernel side `k` that keeps the size at stride 1.
fn block<B: Backend>(
    input: usize,
    output: usize,
    k: usize,
    stride: usize,
    path: ComputePath,
    device: &B::Device,
) -> ConvolutionBlock<B> {
    let convolution = ConvolutionConfig::new(input, output, k)
        .with_stride(stride)
        .with_padding(Padding::Symmetric(k / 2))
        .with_path(path);
    ConvolutionBlockConfig::new(convolution)
        .with_epsilon(EPSILON)
        .init(device)
}

/// Four branches side by side: 1×1; 1×1 then 3×3; 1×1 then 3×3; 3×3 max pool then 1×1.
#[derive(Module, Debug)]
pub struct Inception<B: Backend> {
    branch1: ConvolutionBlock<B>,
    branch2: Vec<ConvolutionBlock<B>>,
    branch3: Vec<ConvolutionBlock<B>>,
    branch4: ConvolutionBlock<B>,
    #[module(skip)]
    path: ComputePath,
}

impl<B: Backend> Inception<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let through = |blocks: &[ConvolutionBlock<B>]| {
            blocks
                .iter()
                .fold(x.clone(), |map, block| block.forward(map))
        };
        let branches = vec![
            self.branch1.forward(x.clone()),
            through(&self.branch2),
            through(&self.branch3),
            self.branch4
                .forward(BRANCH_POOL.forward(x.clone(), self.path)),
        ];
        side_by_side(branches)
    }
}

/// Concatenates maps `[N, H, W, Cᵢ]` along their channels.
///
/// As matrices: the gradient of each is then a block of columns, which is copied out by rows.
fn side_by_side<B: Backend>(maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    let [n, h, w, _] = maps[0].dims();
    let as_rows = |map: Tensor<B, 4>| {
        let channels = map.dims()[3];
        map.reshape([n * h * w, channels])
    };
    let rows = Tensor::cat(maps.into_iter().map(as_rows).collect(), 1);
    let channels = rows.dims()[1];
    rows.reshape([n, h, w, channels])
}

/// GoogLeNet's convolutional part: images to maps of 1024 channels, 32 times
/// smaller.
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
    path: ComputePath,
}

impl<B: Backend> GoogLeNet<B> {
    /// The network with random weights.
    pub fn new(path: ComputePath, device: &B::Device) -> Self {
        let inception = |channels| InceptionChannels::new(channels).init(path, device);
        Self {
            conv1: block(3, 64, 7, 2, path, device),
            conv2: block(64, 64, 1, 1, path, device),
            conv3: block(64, 192, 3, 1, path, device),
            inception3a: inception([192, 64, 96, 128, 16, 32, 32]),
            inception3b: inception([256, 128, 128, 192, 32, 96, 64]),
            inception4a: inception([480, 192, 96, 208, 16, 48, 64]),
            inception4b: inception([512, 160, 112, 224, 24, 64, 64]),
            inception4c: inception([512, 128, 128, 256, 24, 64, 64]),
            inception4d: inception([512, 112, 144, 288, 32, 64, 64]),
            inception4e: inception([528, 256, 160, 320, 32, 128, 128]),
            inception5a: inception([832, 256, 160, 320, 32, 128, 128]),
            inception5b: inception([832, 384, 192, 384, 48, 128, 128]),
            path,
        }
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`, sides at least 31 pixels
    /// - output: `[N, h, w, 1024]`, the map after `inception5b`
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        self.forward_observed(images, &mut |_, _| {})
    }

    /// [`forward`](Self::forward) that shows each stage's map under torchvision's name for it.
    pub(super) fn forward_observed(
        &self,
        images: Tensor<B, 4>,
        observe: &mut dyn FnMut(&str, &Tensor<B, 4>),
    ) -> Tensor<B, 4> {
        let mut seen = |name: &str, x: Tensor<B, 4>| {
            observe(name, &x);
            x
        };
        let x = seen("conv1", self.conv1.forward(images));
        let x = seen("maxpool1", HALVING_POOL.forward(x, self.path));
        let x = seen("conv2", self.conv2.forward(x));
        let x = seen("conv3", self.conv3.forward(x));
        let x = seen("maxpool2", HALVING_POOL.forward(x, self.path));

        let x = seen("inception3a", self.inception3a.forward(x));
        let x = seen("inception3b", self.inception3b.forward(x));
        let x = HALVING_POOL.forward(x, self.path);

        let x = seen("inception4a", self.inception4a.forward(x));
        let x = seen("inception4b", self.inception4b.forward(x));
        let x = seen("inception4c", self.inception4c.forward(x));
        let x = seen("inception4d", self.inception4d.forward(x));
        let x = seen("inception4e", self.inception4e.forward(x));
        let x = LAST_HALVING_POOL.forward(x, self.path);

        let x = seen("inception5a", self.inception5a.forward(x));
        seen("inception5b", self.inception5b.forward(x))
    }
}
