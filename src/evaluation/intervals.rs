//! Confidence intervals of means over queries, by the bootstrap.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How often a mean is computed from drawn queries or classes.
const SAMPLES: u64 = 2000;
/// The share of the sampled means below and above an interval of 95 %.
const TAIL: f64 = 0.025;

/// What is drawn at random to estimate how much a mean varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Queries: how the mean varies among other images of the same classes.
    Queries,
    /// Classes, with all their queries: how it varies among other classes. Queries of a class are not
    /// independent, so that these intervals are wider.
    Classes,
}

/// Returns the 95 % interval of the mean of `values`: the percentiles of the means of samples that are drawn
/// with replacement (Efron, Annals of Statistics 1979). `classes[i]` is the class of value i. The same `seed`
/// gives the same interval. `None` without values.
///
/// # Panics
/// If the numbers of values and classes differ.
pub fn mean_interval(
    values: &[f64],
    classes: &[usize],
    resampling: Resampling,
    seed: u64,
) -> Option<[f64; 2]> {
    assert_eq!(values.len(), classes.len(), "one class for each value");
    let units = match resampling {
        Resampling::Queries => values.iter().map(|&value| (value, 1)).collect(),
        Resampling::Classes => sums(values, classes),
    };
    if units.is_empty() {
        return None;
    }
    let mean = |sample: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(sample);
        let (mut sum, mut count) = (0.0, 0);
        for _ in 0..units.len() {
            let (value, size) = units[random.random_range(0..units.len())];
            sum += value;
            count += size;
        }
        sum / count as f64
    };
    let mut means: Vec<f64> = (0..SAMPLES).into_par_iter().map(mean).collect();
    means.sort_by(f64::total_cmp);
    let last = (means.len() - 1) as f64;
    let at = |share: f64| means[(share * last).round() as usize];
    Some([at(TAIL), at(1.0 - TAIL)])
}

/// The sum and the number of the values of each class, in the order of the first values.
fn sums(values: &[f64], classes: &[usize]) -> Vec<(f64, usize)> {
    let mut sums: Vec<(f64, usize)> = Vec::new();
    let mut positions = HashMap::new();
    for (value, class) in values.iter().zip(classes) {
        let position = *positions.entry(class).or_insert_with(|| {
            sums.push((0.0, 0));
            sums.len() - 1
        });
        sums[position].0 += value;
        sums[position].1 += 1;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard deviation of 0 and 1 in equal numbers is ½, so that of the mean of n is ½/√n.
    #[test]
    fn interval_of_queries_has_the_width_of_the_normal_approximation() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let classes: Vec<usize> = (0..400).map(|i| i / 4).collect();
        let [low, high] = mean_interval(&values, &classes, Resampling::Queries, 1).unwrap();
        // ½ ± 1.96 · ½/20; the ends of 2,000 samples vary by 0.002.
        assert!((low - 0.451).abs() < 0.006, "{low}");
        assert!((high - 0.549).abs() < 0.006, "{high}");
    }

    #[test]
    fn intervals_of_classes_are_wider_if_queries_of_a_class_agree() {
        let classes: Vec<usize> = (0..400).map(|i| i / 4).collect();
        let values: Vec<f64> = classes.iter().map(|&class| (class % 2) as f64).collect();
        let width = |resampling| {
            let [low, high] = mean_interval(&values, &classes, resampling, 1).unwrap();
            high - low
        };
        let ratio = width(Resampling::Classes) / width(Resampling::Queries);
        // A hundred independent values instead of 400.
        assert!((ratio - 2.0).abs() < 0.25, "{ratio}");
    }

    #[test]
    fn classes_count_by_their_queries() {
        // One class of 9 ones and one of 1 zero: samples have the means 0, 0.9 and 1.
        let values = [[1.0; 9].as_slice(), &[0.0]].concat();
        let classes = [[0; 9].as_slice(), &[1]].concat();
        let interval = mean_interval(&values, &classes, Resampling::Classes, 0);
        assert_eq!(interval, Some([0.0, 1.0]));
    }

    #[test]
    fn equal_values_have_no_width_and_no_values_no_interval() {
        let interval = mean_interval(&[0.5; 4], &[0, 0, 1, 1], Resampling::Queries, 3);
        assert_eq!(interval, Some([0.5, 0.5]));
        assert_eq!(mean_interval(&[], &[], Resampling::Classes, 3), None);
    }
}
