//! The layers the backbones are made of, all on **channels-last** feature maps `[N, H, W, C]`.
//!
//! Seen as a matrix, a channels-last map has one contiguous row of C values for each position:
//! a 1×1 convolution is a plain matrix product, any other convolution is a matrix product after a
//! selection of rows, a batch norm broadcasts one row, and no step walks memory with a stride.

mod activation;
mod batch_norm;
mod conv_algorithm;
mod convolution;
mod convolution_block;
mod depthwise;
pub(in crate::model) mod initial_weights;
mod max_pool;
mod options;
mod padding;
mod side_by_side;
mod windows;

pub use activation::Activation;
pub(super) use batch_norm::channel_sums;
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv_algorithm::ConvAlgorithm;
pub(super) use convolution::Kernel;
pub use convolution::{Convolution, ConvolutionConfig};
pub use convolution_block::{
    ConvolutionBlock, ConvolutionBlockConfig, DepthwiseBlock, DepthwiseBlockConfig,
};
pub use depthwise::{DepthwiseConvolution, DepthwiseConvolutionConfig};
pub use max_pool::MaxPool;
pub(super) use max_pool::Winners;
pub use options::LayerOptions;
pub use padding::Padding;
pub(super) use side_by_side::{apart, side_by_side};
