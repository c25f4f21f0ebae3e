//! Histograms of distances.

use super::messages::Histogram;

/// Buckets between the smallest and the largest value.
const BUCKETS: usize = 50;

/// The histogram of `values`, in buckets of equal width. `None` if there are no values.
pub(super) fn histogram(values: &[f32]) -> Option<Histogram> {
    let values = || values.iter().map(|&value| f64::from(value));
    let min = values().reduce(f64::min)?;
    let max = values().reduce(f64::max)?;
    let width = (max - min) / BUCKETS as f64;
    let mut buckets = vec![0.0; BUCKETS];
    for value in values() {
        // If all values are equal, the quotient is NaN, which is converted to 0.
        let bucket = ((value - min) / width) as usize;
        buckets[bucket.min(BUCKETS - 1)] += 1.0;
    }
    let mut limits: Vec<f64> = (1..=BUCKETS)
        .map(|bucket| min + width * bucket as f64)
        .collect();
    if width <= 0.0 {
        // Limits must increase: one bucket has all values.
        (limits, buckets) = (vec![max], vec![values().count() as f64]);
    }
    Some(Histogram {
        min,
        max,
        count: values().count() as f64,
        sum: values().sum(),
        sum_of_squares: values().map(|value| value * value).sum(),
        limits,
        buckets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let values: Vec<f32> = (0..=100).map(|i| i as f32 / 50.0).collect();
        let histogram = histogram(&values).unwrap();
        assert_eq!((histogram.min, histogram.max), (0.0, 2.0));
        assert_eq!(histogram.count, 101.0);
        assert_eq!(histogram.buckets.iter().sum::<f64>(), 101.0);
        assert_eq!(histogram.buckets.len(), histogram.limits.len());
        assert!(histogram.limits.is_sorted_by(|a, b| a < b));
        assert!((histogram.sum - 101.0).abs() < 1e-4);
    }

    #[test]
    fn equal_values_have_one_bucket_and_no_values_none() {
        let equal = histogram(&[0.5; 7]).unwrap();
        assert_eq!((equal.limits, equal.buckets), (vec![0.5], vec![7.0]));
        assert_eq!(histogram(&[]), None);
    }
}
