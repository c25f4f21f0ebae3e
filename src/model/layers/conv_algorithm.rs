//! The two algorithms for convolutions and pools.

use serde::{Deserialize, Serialize};

/// How convolutions larger than 1×1 and max pools are computed. Both algorithms compute the same
/// function of the same weights; they differ in speed and in the order of floating-point sums.
///
/// The choice depends on the backend, not on the model: it is neither in a configuration file nor in a
/// checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ConvAlgorithm {
    /// Selections of rows followed by matrix products or element-wise maxima, in chunks that fit the
    /// caches, with one shard of the batch per thread. Training steps use hand-written adjoints, because
    /// autodiff would keep k² copies of a convolution's input. For CPUs, whose only tuned kernels are
    /// the basic ones.
    #[default]
    Im2col,
    /// Burn's `conv2d` and `max_pool2d`, recorded by autodiff. For GPUs, which have tuned kernels for
    /// both.
    Backend,
}
