//! `[batch]`: classes and images of a batch.

use serde::{Deserialize, Serialize};

use crate::setting::{Checked, at_least, at_most, even};

/// `[batch]`: P classes with K images each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// P, the distinct classes of a batch, at least 2.
    pub classes: usize,
    /// K, the images of each class, even and at least 2; the images of a class lie together.
    pub images_per_class: usize,
    /// Which classes and images an epoch meets.
    pub sampler: Sampler,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            classes: 16,
            images_per_class: 4,
            sampler: Sampler::default(),
        }
    }
}

/// Which classes and images an epoch meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// A class in proportion to its images, (number of classes × K) images an epoch, as published.
    #[default]
    Proportional,
    /// Every class as often as any other, as many images an epoch.
    Uniform,
    /// Every image once an epoch. What a class lacks to whole groups of K, and the last batches to P
    /// classes, is filled with images that come again.
    EveryImage,
}

impl BatchConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// The first value that no batch can have, and what to give instead.
    pub fn check(&self) -> Checked {
        at_least("batch.classes", self.classes, 2)?;
        at_most("batch.classes", self.classes, 65_536)?;
        at_least("batch.images_per_class", self.images_per_class, 2)?;
        at_most("batch.images_per_class", self.images_per_class, 65_536)?;
        even("batch.images_per_class", self.images_per_class)
    }
}
