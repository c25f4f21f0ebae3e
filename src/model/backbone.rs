//! The choice of a backbone: the one place that lists them all.

use std::path::Path;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};

use super::{
    Conv4, EfficientNetLite0, GoogLeNet, ResNet50,
    execution::{Pass, Stages},
    layers::{ConvAlgorithm, LayerOptions},
    weights::{WeightsError, load_weights},
};
use crate::model::config::Backbone;

impl Backbone {
    /// Channels of the backbone's feature maps, which is the length of a descriptor.
    pub fn features(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::FEATURES,
            Self::GoogLeNet => super::googlenet::FEATURES,
            Self::ResNet50 => super::resnet50::FEATURES,
            Self::EfficientNetLite0 => super::efficientnet_lite0::FEATURES,
        }
    }

    /// Smallest side of an image that the backbone takes, in pixels.
    pub fn minimum_image_size(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::MINIMUM_IMAGE_SIZE,
            Self::GoogLeNet => super::googlenet::MINIMUM_IMAGE_SIZE,
            Self::ResNet50 => super::resnet50::MINIMUM_IMAGE_SIZE,
            Self::EfficientNetLite0 => super::efficientnet_lite0::MINIMUM_IMAGE_SIZE,
        }
    }

    /// Whether weights trained on ImageNet are published for it.
    pub fn is_published(self) -> bool {
        self != Self::Conv4
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
}

/// The same expression for whichever network there is.
macro_rules! with {
    ($choice:expr, $network:ident => $expression:expr) => {
        match $choice {
            BackboneNetwork::Conv4($network) => $expression,
            BackboneNetwork::GoogLeNet($network) => $expression,
            BackboneNetwork::ResNet50($network) => $expression,
            BackboneNetwork::EfficientNetLite0($network) => $expression,
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
        }
    }

    /// The network with the weights of a file.
    ///
    /// # Errors
    /// Those of [`load_weights`].
    pub fn with_weights(self, path: &Path) -> Result<Self, WeightsError> {
        Ok(match self {
            Self::Conv4(network) => Self::Conv4(load_weights(network, path)?),
            Self::GoogLeNet(network) => Self::GoogLeNet(load_weights(network, path)?),
            Self::ResNet50(network) => Self::ResNet50(load_weights(network, path)?),
            Self::EfficientNetLite0(network) => {
                Self::EfficientNetLite0(load_weights(network, path)?)
            }
        })
    }

    /// The feature maps of channels-last images: `[N, S, S, 3]` → `[N, h, w, features]`.
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        self.carry_out(images)
    }
}

impl<B: Backend> Stages<B> for BackboneNetwork<B> {
    fn count(&self) -> usize {
        with!(self, network => network.count())
    }

    fn algorithm(&self) -> ConvAlgorithm {
        with!(self, network => network.algorithm())
    }

    fn stage<'m, P: Pass<'m, B>>(&'m self, stage: usize, x: P::Map, pass: &mut P) -> P::Map {
        with!(self, network => network.stage(stage, x, pass))
    }
}
