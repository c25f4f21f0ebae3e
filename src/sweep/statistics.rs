//! Means over the runs of a cell, and paired differences of two cells.

use serde::Serialize;

use crate::evaluation::{Resampling, mean_interval};

/// The seed of bootstrap samples.
const SEED: u64 = 0;

/// The mean of a measure over runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation, with n − 1; `None` for one run.
    pub std: Option<f64>,
    /// The number of runs.
    pub n: usize,
}

/// The mean difference of a measure between pairs of runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation of the differences; `None` for one pair.
    pub std: Option<f64>,
    /// The lower end of the 95 % interval: a bootstrap over the pairs. `None` for one pair.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The number of pairs.
    pub n: usize,
}

impl Summary {
    /// The mean of `values`; `None` without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        let variance = squares.sum::<f64>() / (n as f64 - 1.0);
        Some(Self {
            mean,
            std: (n > 1).then(|| variance.sqrt()),
            n,
        })
    }
}

impl Difference {
    /// The mean of `differences`, one for each pair of runs; `None` without pairs.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let Summary { mean, std, n } = Summary::of(differences)?;
        let pairs: Vec<usize> = (0..n).collect();
        let interval = mean_interval(differences, &pairs, Resampling::Queries, SEED);
        let interval = interval.filter(|_| n > 1);
        Some(Self {
            mean,
            std,
            low: interval.map(|[low, _]| low),
            high: interval.map(|[_, high]| high),
            n,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_deviation_has_n_less_one() {
        // Mean 5, squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, divided by 7.
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((summary.mean, summary.n), (5.0, 8));
        assert!((summary.std.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_run_has_no_deviation_and_none_no_mean() {
        let one = Summary {
            mean: 0.5,
            std: None,
            n: 1,
        };
        assert_eq!(Summary::of(&[0.5]), Some(one));
        assert_eq!(Summary::of(&[]), None);
        let difference = Difference::of(&[0.5]).unwrap();
        assert_eq!((difference.low, difference.high), (None, None));
        assert_eq!(Difference::of(&[]), None);
    }

    #[test]
    fn interval_of_pairs_is_between_the_smallest_and_the_largest_difference() {
        let difference = Difference::of(&[0.01, 0.02, 0.03]).unwrap();
        assert!((difference.mean - 0.02).abs() < 1e-12);
        assert!((difference.std.unwrap() - 0.01).abs() < 1e-12);
        // A sample is three times the smallest with probability 1/27 = 3.7 %, more than the tail of 2.5 %.
        assert!((difference.low.unwrap() - 0.01).abs() < 1e-12);
        assert!((difference.high.unwrap() - 0.03).abs() < 1e-12);
        let equal = Difference::of(&[0.25, 0.25]).unwrap();
        assert_eq!((equal.low, equal.high), (Some(0.25), Some(0.25)));
    }
}
