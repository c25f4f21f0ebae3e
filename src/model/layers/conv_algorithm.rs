//! The choice between the two ways a layer is computed.

use serde::{Deserialize, Serialize};

/// How convolutions larger than 1×1 and max pools are computed. Both ways give the same function of
/// the same weights; they differ in speed and in the order of floating-point sums.
///
/// Whoever picks the backend picks the algorithm: it is a matter of the machine, not of the model, and
/// is neither part of a configuration file nor of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ConvAlgorithm {
    /// Selections of rows and then matrix products or element-wise maxima, in pieces that fit the
    /// caches, on a part of the batch for each thread; training steps are recorded by layers
    /// ([`Recording`](crate::model::execution::Recording)). Autodiff would keep k² copies of a
    /// convolution's input. For devices whose only tuned kernels are the basic ones: CPUs.
    #[default]
    Im2col,
    /// Burn's `conv2d` and `max_pool2d`, recorded by autodiff. For devices with tuned kernels of
    /// these: GPUs.
    Backend,
}
