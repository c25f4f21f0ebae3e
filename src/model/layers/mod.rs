//! The layers of the backbones, all on **channels-last** feature maps `[N, H, W, C]`.
//!
//! As a matrix, a channels-last map has one contiguous row of C values per position: a 1×1 convolution
//! is a matrix product, any other convolution is a matrix product after a selection of rows (im2col), a
//! batch norm broadcasts one row, and no operation reads memory with a stride.

mod activation;
mod batch_norm;
mod concat_channels;
mod conv_algorithm;
mod conv_kernel;
mod convolution;
mod convolution_block;
mod dense_convolution;
mod depthwise_convolution;
mod im2col;
pub(in crate::model) mod initial_weights;
mod max_pool;
mod max_pool_indices;
mod options;
mod padding;

pub use activation::Activation;
pub(super) use batch_norm::channel_sums;
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub(super) use concat_channels::{concat_channels, split_channels};
pub use conv_algorithm::ConvAlgorithm;
pub use convolution::{Convolution, ConvolutionConfig};
pub use convolution_block::{ConvolutionBlock, ConvolutionBlockConfig};
pub use max_pool::MaxPool;
pub(super) use max_pool::MaxPositions;
pub use options::LayerOptions;
pub use padding::Padding;
