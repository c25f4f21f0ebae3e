//! Batches on the device, as Burn's `DataLoader`: [`TrainLoader`] for the training split,
//! [`SplitLoader`] for a split in order.
//!
//! The contents of a batch depend only on (seed, epoch, position in the epoch). Workers and prefetching
//! change only the speed.

mod error;
mod errors;
mod slices;
mod split_loader;
#[cfg(test)]
mod tests;
mod train_job;
mod train_loader;

pub use error::LoaderError;
pub use errors::LoaderErrors;
pub use split_loader::{EpochSchedule, SplitLoader};
pub use train_loader::TrainLoader;
