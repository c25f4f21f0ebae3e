//! The network that maps images to embeddings: backbones, pooling, head, pretrained weights.
//!
//! [`EmbedderConfig`] makes an [`Embedder`] from `[model]` of a run's configuration. Images come in
//! and embeddings go out in the usual order of axes; inside, feature maps are channels-last (see
//! [`layers`]).

mod conv4;
mod embedder;
pub mod export;
mod googlenet;
pub mod layers;
#[cfg(test)]
mod reference_tests;
mod torch_layout;
mod weights;

pub use conv4::Conv4;
pub use embedder::{BackboneNetwork, Embedder, EmbedderConfig, unit_length};
pub use export::{ExportError, ExportedEmbedder};
pub use googlenet::{GoogLeNet, Inception};
pub use layers::ComputePath;
pub use weights::{WeightsError, load_weights};
