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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use image::RgbImage;

    use super::*;
    use crate::data::{ImageError, Images};

    /// Rows of three features: 1 to 4, constant, and nearly constant.
    struct Rows([[f32; 3]; 4]);

    impl Images for Rows {
        fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
            let name = self.name(index);
            Err(ImageError::NoPicture { name })
        }

        fn name(&self, index: usize) -> String {
            format!("row {index}")
        }

        fn features(&self, index: usize) -> Option<&[f32]> {
            Some(&self.0[index])
        }
    }

    fn split() -> Split {
        let rows = [1.0, 2.0, 3.0, 4.0].map(|x| [x, 0.1, 1e4 + x / 1000.0]);
        let names = vec!["a".into(), "b".into()];
        Split::new("train", names, vec![0, 1, 0, 1], Arc::new(Rows(rows)))
    }

    #[test]
    fn moments_are_those_of_the_rows_and_constant_features_have_deviation_1() {
        let moments = split().feature_moments().unwrap();
        assert_eq!(moments.mean[..2], [2.5, 0.1]);
        // √((1.5² + 0.5²) / 2) by hand; the third varies by less than a millionth.
        let expected = [1.25_f32.sqrt(), 1.0, 1.0];
        assert_eq!(moments.deviation, expected);
    }

    #[test]
    fn held_out_classes_do_not_count() {
        let b = split().subset("train", &[1]);
        assert_eq!(b.features(1), Some(&[4.0, 0.1, 1e4 + 4.0 / 1000.0][..]));
        assert_eq!(b.feature_moments().unwrap().mean[0], 3.0);
        assert_eq!(b.unit(), "rows");
        assert!(b.image(0).is_err());
    }
}
