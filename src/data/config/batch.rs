//! `[batch]`: the classes and images of a batch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{Checked, at_least, at_most};

/// `[batch]`: P classes with K images each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// P, the distinct classes of a batch, at least 2.
    #[schemars(range(min = 2, max = 65_536))]
    pub classes: usize,
    /// K, the images of each class, at least 2, and even if the negatives pair images. The images of a class are
    /// adjacent.
    #[schemars(range(min = 2, max = 65_536))]
    pub images_per_class: usize,
    /// Which classes and images an epoch covers.
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

/// Which classes and images an epoch covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Classes in proportion to their number of images; (number of classes × K) images per epoch, as
    /// published.
    #[default]
    Proportional,
    /// Every class equally often; the same number of images per epoch.
    Uniform,
    /// Every image once per epoch. Incomplete groups of K images, and incomplete batches of P classes,
    /// are filled with images that are repeated.
    EveryImage,
}

impl BatchConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// If a value is out of range. The error names the first.
    pub fn check(&self) -> Checked {
        at_least("batch.classes", self.classes, 2)?;
        at_most("batch.classes", self.classes, 65_536)?;
        at_least("batch.images_per_class", self.images_per_class, 2)?;
        at_most("batch.images_per_class", self.images_per_class, 65_536)
    }
}
