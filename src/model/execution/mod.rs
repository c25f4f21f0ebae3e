//! How a network's layers are executed: one after the other on tensors ([`EagerExecutor`]), or
//! recorded on a [`Tape`] whose backward pass uses hand-written adjoints of whole layers.
//!
//! A backbone is written once, as a function of any [`Executor`]. [`OperationCounter`] counts its arithmetic.

mod arithmetic;
mod batch_norms;
mod eager;
mod executor;
mod kernel_block;
#[cfg(test)]
mod precision_tests;
mod shards;
mod stages;
mod tape;
mod taped_block;
mod taped_forward;
#[cfg(test)]
mod tests;
mod whole_batch;

pub use arithmetic::{MapShape, OperationCounter, Operations};
pub use batch_norms::BatchNorms;
pub use eager::EagerExecutor;
pub use executor::Executor;
pub use stages::Stages;
pub use tape::Tape;
pub use taped_forward::{TapedForward, is_taped};
pub use whole_batch::WholeBatch;
