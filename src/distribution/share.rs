//! The parts of work that processes share.

use std::ops::Range;

/// Returns the part of `count` items that process `rank` of `size` processes computes: consecutive items, in the order
/// of the processes. Parts differ by at most one item.
///
/// # Panics
/// If `rank` is not below `size`.
pub fn share(count: usize, rank: usize, size: usize) -> Range<usize> {
    assert!(rank < size, "process {rank} of {size}");
    // Without overflow for every count: count · rank / size.
    let (quotient, remainder) = (count / size, count % size);
    let start = |rank: usize| quotient * rank + remainder.min(rank);
    start(rank)..start(rank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_order_and_nearly_equal() {
        for (count, size) in [(0, 3), (1, 4), (7, 3), (8, 4), (128, 7), (usize::MAX, 5)] {
            let parts: Vec<_> = (0..size).map(|rank| share(count, rank, size)).collect();
            assert_eq!((parts[0].start, parts[size - 1].end), (0, count));
            for pair in parts.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                assert!(pair[0].len() - pair[1].len() <= 1);
            }
        }
    }
}
