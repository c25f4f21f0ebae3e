//! Batches on the device, behind Burn's `DataLoader`: [`TrainLoader`] for the training split,
//! [`SplitLoader`] for a split in order.
//!
//! What a batch holds is a function of (seed, epoch, its place in the epoch); workers and
//! prefetching change the speed alone.

mod epochs;
mod split_loader;
#[cfg(test)]
mod tests;
mod train_loader;

use std::ops::Range;

pub use split_loader::{EpochSchedule, SplitLoader};
pub use train_loader::TrainLoader;

/// The part of `range`, in batches of `batch_len` items, that starts at items `start` to `end`.
fn batches_between(
    range: &Range<usize>,
    start: usize,
    end: usize,
    batch_len: usize,
) -> Range<usize> {
    let batch = |item: usize| range.end.min(range.start + item / batch_len);
    batch(start)..batch(end)
}
