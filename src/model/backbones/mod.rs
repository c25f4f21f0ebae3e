//! The backbones. A new backbone needs a file in this folder, a variant of
//! [`Backbone`] in the configuration, and the entries in this file, which is the
//! only one that lists the networks.

mod conv4;
mod efficientnet_lite0;
mod googlenet;
mod identity;
mod resnet50;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::config::Backbone;
use super::execution::{Executor, Stages};
use super::layers::{ConvAlgorithm, LayerOptions};

pub use conv4::Conv4;
pub use efficientnet_lite0::{EfficientNetLite0, InvertedBottleneck};
pub use googlenet::{GoogLeNet, Inception};
pub use identity::Identity;
pub use resnet50::{Bottleneck, ResNet50};

/// The networks' names for their parts, in this crate and in the original. No name of one network is
/// part of a name of another, so that all can be replaced in turn.
pub(super) const TORCH_NAMES: [&[(&str, &str)]; 3] = [
    googlenet::TORCH_NAMES,
    resnet50::TORCH_NAMES,
    efficientnet_lite0::TORCH_NAMES,
];

impl Backbone {
    /// The number of channels of the backbone's feature maps, which is the length of a descriptor. `None` without
    /// a network: the dataset has the features.
    pub fn features(self) -> Option<usize> {
        match self {
            Self::Conv4 => Some(conv4::FEATURES),
            Self::GoogLeNet => Some(googlenet::FEATURES),
            Self::ResNet50 => Some(resnet50::FEATURES),
            Self::EfficientNetLite0 => Some(efficientnet_lite0::FEATURES),
            Self::None => None,
        }
    }

    /// The smallest side of an image for the backbone, in pixels.
    pub fn minimum_image_size(self) -> usize {
        match self {
            Self::Conv4 => conv4::MINIMUM_IMAGE_SIZE,
            Self::GoogLeNet => googlenet::MINIMUM_IMAGE_SIZE,
            Self::ResNet50 => resnet50::MINIMUM_IMAGE_SIZE,
            Self::EfficientNetLite0 => efficientnet_lite0::MINIMUM_IMAGE_SIZE,
            Self::None => 1,
        }
    }

    /// Whether ImageNet weights are published for it.
    pub fn is_published(self) -> bool {
        !matches!(self, Self::Conv4 | Self::None)
    }
}

/// The backbone of an [`Embedder`](super::Embedder).
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One value per process.
pub enum BackboneNetwork<B: Backend> {
    /// Four convolution blocks.
    Conv4(Conv4<B>),
    /// GoogLeNet.
    GoogLeNet(GoogLeNet<B>),
    /// ResNet-50.
    ResNet50(ResNet50<B>),
    /// EfficientNet-Lite0.
    EfficientNetLite0(EfficientNetLite0<B>),
    /// No network: features are the input.
    None(Identity<B>),
}

/// Evaluates the same expression for each kind of network.
macro_rules! with {
    ($choice:expr, $network:ident => $expression:expr) => {
        match $choice {
            BackboneNetwork::Conv4($network) => $expression,
            BackboneNetwork::GoogLeNet($network) => $expression,
            BackboneNetwork::ResNet50($network) => $expression,
            BackboneNetwork::EfficientNetLite0($network) => $expression,
            BackboneNetwork::None($network) => $expression,
        }
    };
}

impl<B: Backend> BackboneNetwork<B> {
    /// The network with random weights.
    pub fn new(backbone: Backbone, options: impl Into<LayerOptions>, device: &B::Device) -> Self {
        let options = options.into();
        match backbone {
            Backbone::Conv4 => Self::Conv4(Conv4::new(options, device)),
            Backbone::GoogLeNet => Self::GoogLeNet(GoogLeNet::new(options, device)),
            Backbone::ResNet50 => Self::ResNet50(ResNet50::new(options, device)),
            Backbone::EfficientNetLite0 => {
                Self::EfficientNetLite0(EfficientNetLite0::new(options, device))
            }
            Backbone::None => Self::None(Identity::new(options.algorithm)),
        }
    }

    /// The feature maps of channels-last images: `[N, S, S, 3]` → `[N, h, w, features]`. Without a network, the
    /// input `[N, 1, 1, features]`.
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::None(_) => images,
            _ => Stages::forward(self, images),
        }
    }

    /// Whether there is no network, so that nothing is to be trained.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None(_))
    }
}

impl<B: Backend> Stages<B> for BackboneNetwork<B> {
    fn count(&self) -> usize {
        with!(self, network => network.count())
    }

    fn algorithm(&self) -> ConvAlgorithm {
        with!(self, network => network.algorithm())
    }

    fn stage<'m, E: Executor<'m, B>>(
        &'m self,
        stage: usize,
        x: E::Map,
        executor: &mut E,
    ) -> E::Map {
        with!(self, network => network.stage(stage, x, executor))
    }
}
