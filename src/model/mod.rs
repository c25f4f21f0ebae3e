//! The network that maps images to embeddings: backbones, pooling, head, pretrained weights.
//!
//! [`EmbedderConfig`] makes an [`Embedder`] from `[model]` of a run's configuration. Images come in
//! and embeddings go out in the usual order of axes; inside, feature maps are channels-last (see
//! [`layers`]).

mod backbone;
pub mod config;
mod conv4;
#[cfg(test)]
mod descriptor_tests;
mod efficientnet_lite0;
mod embedder;
pub mod execution;
mod googlenet;
mod image_scale;
pub mod layers;
mod pickled_strides;
mod pooling;
pub mod pretrained;
#[cfg(test)]
mod reference_tests;
mod resnet50;
pub(crate) mod torch_layout;
mod training_pass;
pub(crate) mod weights;

pub use backbone::BackboneNetwork;
pub use conv4::Conv4;
pub use efficientnet_lite0::{EfficientNetLite0, InvertedBottleneck};
pub use embedder::{Embedder, EmbedderConfig, EmbedderRecord, unit_length};
pub use googlenet::{GoogLeNet, Inception};
pub use layers::{ConvAlgorithm, LayerOptions};
pub use pooling::GemPool;
pub use resnet50::{Bottleneck, ResNet50};
pub use training_pass::{BackwardPass, TrainStepOptions};
pub use weights::{Misshapen, WeightsError, load_weights};
