//! Parts of a loader, as Burn asks for them when it trains on several devices.

use std::ops::Range;

/// Returns the part of `range`, in batches of `batch_len` items, from item `start` to item `end`.
pub(super) fn batches_between(
    range: &Range<usize>,
    start: usize,
    end: usize,
    batch_len: usize,
) -> Range<usize> {
    let batch = |item: usize| range.end.min(range.start + item / batch_len);
    batch(start)..batch(end)
}
