//! The network that maps images to embeddings: backbones, pooling, head, pretrained weights.
//!
//! [`EmbedderConfig`] creates an [`Embedder`] from the `[model]` section of a configuration. Images and
//! embeddings have the usual order of axes; feature maps inside are channels-last (see [`layers`]).
//!
//! ```text
//! backward_pass, operations        a training step's forward and backward pass, and their arithmetic
//!   loss_scaling                   backward passes in f16
//!   embedder, embedding_parts      images → embeddings
//!     weights                      .pth and .safetensors files, names and prefixes, downloads
//!       backbones                  networks, written with layers and an Executor
//!         execution                EagerExecutor; Tape with hand-written adjoints, for CPUs
//!     pooling, image_scale, dropout, hidden_layer, dense, standardization
//!       layers                     convolution, batch norm, max pooling
//!       config                     the [model] section, the list of published files
//! ```

mod backbones;
mod backward_pass;
pub mod config;
mod dense;
#[cfg(test)]
mod descriptor_tests;
mod dropout;
mod embedder;
mod embedder_config;
mod embedding_parts;
pub mod execution;
mod hidden_layer;
mod image_scale;
pub mod layers;
mod loss_scaling;
mod operations;
mod pooling;
mod precision;
#[cfg(test)]
mod precision_tests;
#[cfg(test)]
mod reference_tests;
mod standardization;
mod train_step_options;
pub mod weights;

pub use backbones::{
    BackboneNetwork, Bottleneck, Conv4, EfficientNetLite0, GoogLeNet, Identity, Inception,
    InvertedBottleneck, ResNet50,
};
pub use backward_pass::BackwardPass;
pub use embedder::{Embedder, EmbedderRecord, unit_length};
pub use embedder_config::EmbedderConfig;
pub use hidden_layer::HiddenLayer;
pub use layers::{ConvAlgorithm, LayerOptions};
pub use pooling::GemPool;
pub use precision::Precision;
pub use standardization::Standardization;
pub use train_step_options::{OtherRows, TrainStepOptions};
