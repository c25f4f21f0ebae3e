//! The features of a split that has no images.

use super::Split;

/// A standard deviation below this multiple of the mean is rounding of single precision: the feature is constant.
const SMALLEST_DEVIATION: f64 = 1e-6;

/// The mean and the standard deviation of each feature over the rows of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMoments {
    /// The means.
    pub mean: Vec<f32>,
    /// The standard deviations, with divisor N; 1 for a feature that is constant.
    pub deviation: Vec<f32>,
}

impl Split {
    /// Returns the features of row `index`, or `None` for an image.
    ///
    /// # Panics
    /// If `index` is not below the number of rows.
    pub fn features(&self, index: usize) -> Option<&[f32]> {
        self.images.features(index)
    }

    /// Returns the length of a row of features; `None` for images, and without rows.
    pub fn feature_dim(&self) -> Option<usize> {
        match self.labels.is_empty() {
            true => None,
            false => self.features(0).map(<[f32]>::len),
        }
    }

    /// Returns what a row is called in messages: `rows` of features, or `images`.
    pub fn unit(&self) -> &'static str {
        match self.feature_dim() {
            Some(_) => "rows",
            None => "images",
        }
    }

    /// Computes the mean and the standard deviation of each feature in double precision; `None` for images.
    pub fn feature_moments(&self) -> Option<FeatureMoments> {
        let dim = self.feature_dim()?;
        let count = self.labels.len() as f64;
        let mean_of = |term: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; dim];
            for row in 0..self.labels.len() {
                let features = self.features(row).unwrap_or_default();
                for (column, (sum, &value)) in sums.iter_mut().zip(features).enumerate() {
                    *sum += term(column, f64::from(value));
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= count);
            sums
        };
        let mean = mean_of(&|_, value| value);
        let variance = mean_of(&|column, value| (value - mean[column]).powi(2));
        let deviation = variance.iter().zip(&mean).map(|(variance, mean)| {
            let deviation = variance.sqrt();
            let is_constant = deviation <= SMALLEST_DEVIATION * mean.abs();
            // A deviation may be too small for single precision.
            match is_constant || (deviation as f32) < f32::MIN_POSITIVE {
                true => 1.0,
                false => deviation as f32,
            }
        });
        Some(FeatureMoments {
            deviation: deviation.collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
        })
    }
}
