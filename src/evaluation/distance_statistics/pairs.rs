//! Means over pairs of rows, of a sample if there are many.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cancellation::Cancelled;
use crate::progress::Task;

/// The most pairs that are measured.
const MOST_PAIRS: u64 = 1 << 20;
/// Pairs that are measured between two checks for a stop.
const PART: usize = 1 << 16;

/// The mean of `value` over all pairs of two rows of one group, or over 2²⁰ drawn pairs if there are more. The groups
/// of `sizes` follow each other. `None` if there is no pair.
///
/// # Errors
/// If a stop was requested.
pub(super) fn mean_over_pairs(
    sizes: &[usize],
    seed: u64,
    task: &Task<'_>,
    value: impl Fn(usize, usize) -> f64 + Sync,
) -> Result<Option<f64>, Cancelled> {
    let pairs = Pairs::new(sizes);
    if pairs.count == 0 {
        return Ok(None);
    }
    let count = pairs.count.min(MOST_PAIRS);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<u64> = match pairs.count > MOST_PAIRS {
        true => (0..count)
            .map(|_| random.random_range(0..pairs.count))
            .collect(),
        false => (0..count).collect(),
    };
    let mut sum = 0.0;
    for part in numbers.chunks(PART) {
        task.check()?;
        let values: Vec<f64> = part
            .par_iter()
            .map(|&number| {
                let (a, b) = pairs.pair(number);
                value(a, b)
            })
            .collect();
        // In order, so that the sum does not depend on the threads.
        sum += values.iter().sum::<f64>();
    }
    Ok(Some(sum / count as f64))
}

/// The pairs of rows of one group, numbered.
struct Pairs {
    count: u64,
    /// The number of the first pair, and the first row, of each group that has pairs.
    groups: Vec<(u64, usize)>,
}

impl Pairs {
    fn new(sizes: &[usize]) -> Self {
        let (mut count, mut row) = (0, 0);
        let mut groups = Vec::new();
        for &size in sizes {
            if size > 1 {
                groups.push((count, row));
                count += size as u64 * (size as u64 - 1) / 2;
            }
            row += size;
        }
        Self { count, groups }
    }

    /// The rows of a pair: within a group, pair b(b − 1)/2 + a is that of the rows a < b.
    fn pair(&self, number: u64) -> (usize, usize) {
        let group = self.groups.partition_point(|(first, _)| *first <= number) - 1;
        let (first, row) = self.groups[group];
        let number = number - first;
        // The square root may be rounded up or down by one.
        let mut b = ((8.0 * number as f64 + 1.0).sqrt() / 2.0 + 0.5) as u64;
        while b * (b - 1) / 2 > number {
            b -= 1;
        }
        while b * (b + 1) / 2 <= number {
            b += 1;
        }
        let a = number - b * (b - 1) / 2;
        (row + a as usize, row + b as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Monitor, Unit};

    #[test]
    fn every_pair_of_a_group_has_one_number() {
        let pairs = Pairs::new(&[1, 3, 0, 2, 1, 4]);
        let all: Vec<(usize, usize)> = (0..pairs.count).map(|number| pairs.pair(number)).collect();
        let expected = [
            (1, 2),
            (1, 3),
            (2, 3),
            (4, 5),
            (7, 8),
            (7, 9),
            (8, 9),
            (7, 10),
            (8, 10),
            (9, 10),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn the_last_pair_of_a_large_group_is_found() {
        let pairs = Pairs::new(&[3_000_000_000]);
        let last = pairs.pair(pairs.count - 1);
        assert_eq!(last, (2_999_999_998, 2_999_999_999));
    }

    #[test]
    fn a_sample_of_many_pairs_has_their_mean() {
        let monitor = Monitor::none();
        let task = monitor.task("pairs", None, Unit::Images);
        // |a − b| of two of n numbers 0 … n − 1 has the mean (n + 1)/3 and the standard deviation 0.24 n.
        let n = 3000;
        let mean = mean_over_pairs(&[n], 0, &task, |a, b| a.abs_diff(b) as f64);
        let mean = mean.unwrap().unwrap();
        let expected = (n as f64 + 1.0) / 3.0;
        // Five standard errors.
        let tolerance = 5.0 * 0.24 * n as f64 / 1024.0;
        assert!((mean - expected).abs() < tolerance, "{mean} {expected}");
    }
}
