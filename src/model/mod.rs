//! The network that maps images to embeddings: backbones, pooling, head, pretrained weights.
//!
//! [`EmbedderConfig`] makes an [`Embedder`] from `[model]` of a run's configuration. Images come in
//! and embeddings go out in the usual order of axes; inside, feature maps are channels-last (see
//! [`layers`]).

mod backbone;
mod conv4;
#[cfg(test)]
mod descriptor_tests;
mod efficientnet_lite0;
mod embedder;
pub mod export;
mod googlenet;
mod image_scale;
pub mod layers;
pub mod passes;
mod pickled_strides;
mod pooling;
pub mod pretrained;
#[cfg(test)]
mod reference_tests;
mod resnet50;
mod torch_layout;
mod training_pass;
mod weights;

pub use backbone::BackboneNetwork;
pub use conv4::Conv4;
pub use efficientnet_lite0::{EfficientNetLite0, InvertedBottleneck};
pub use embedder::{Embedder, EmbedderConfig, EmbedderRecord, unit_length};
pub use export::{ExportError, ExportedEmbedder};
pub use googlenet::{GoogLeNet, Inception};
pub use layers::{ComputePath, LayerOptions};
pub use pooling::GemPool;
pub use resnet50::{Bottleneck, ResNet50};
pub use training_pass::{TrainingPass, WayBack};
pub use weights::{Misshapen, WeightsError, load_weights};
