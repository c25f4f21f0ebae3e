//! The layers the backbones are made of, all on **channels-last** feature maps `[N, H, W, C]`.
//!
//! Seen as a matrix, a channels-last map has one contiguous row of C values for each position:
//! a 1×1 convolution is a plain matrix product, any other convolution is a matrix product after a
//! selection of rows, a batch norm broadcasts one row, and no step walks memory with a stride.

mod batch_norm;
mod compute_path;
mod convolution;
mod convolution_block;
mod max_pool;
mod options;

pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use compute_path::ComputePath;
pub use convolution::{Convolution, ConvolutionConfig};
pub use convolution_block::{ConvolutionBlock, ConvolutionBlockConfig};
pub use max_pool::MaxPool;
pub use options::LayerOptions;
