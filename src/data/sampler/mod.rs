//! Batches of P classes with K images each. The images of a class are adjacent.
//!
//! The sampler determines which classes and images an epoch covers: classes in proportion to their size,
//! as published with Embedding Expansion and LoOp, every class equally often, or every image once. The
//! batches depend only on (seed, epoch). The classes of a batch are distinct, and an image is never
//! paired with itself if its class has at least two images.

mod classes;
mod every_image;
mod proportional;
#[cfg(test)]
mod tests;
mod uniform;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::random::{Purpose, stream};
use crate::data::config::{BatchConfig, Sampler};
use crate::setting::SettingError;
use classes::Classes;

/// Samples the batches of every epoch as a function of (seed, epoch).
#[derive(Debug, Clone)]
pub struct PairSampler {
    classes: Classes,
    batch: BatchConfig,
    seed: u64,
}

/// How much of a split an epoch covers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of the images that occur at least once, 0 to 1.
    pub images: f64,
    /// Share of the classes that occur at least once, 0 to 1.
    pub classes: f64,
}

impl PairSampler {
    /// Makes a sampler of images with these labels.
    ///
    /// # Errors
    /// If P or K is out of range, or P exceeds the number of classes.
    pub fn new(labels: &[usize], batch: &BatchConfig, seed: u64) -> Result<Self, SettingError> {
        batch.check()?;
        let classes = Classes::from_labels(labels);
        if batch.classes > classes.len() {
            let reason = format!(
                "the training split has {0} classes, and those of a batch are distinct; give {0} or less",
                classes.len()
            );
            return Err(SettingError::value(
                "batch.classes",
                batch.classes as i64,
                reason,
            ));
        }
        Ok(Self {
            classes,
            batch: batch.clone(),
            seed,
        })
    }

    /// Returns the number of batches of an epoch, at least 1: ⌊classes · K / (P · K)⌋ as published, or
    /// as many as are needed to cover every image.
    pub fn batches_per_epoch(&self) -> usize {
        match self.batch.sampler {
            Sampler::Proportional | Sampler::Uniform => self.classes.len() / self.batch.classes,
            Sampler::EveryImage => every_image::batches(&self.classes, &self.batch),
        }
    }

    /// Returns the number of images of a batch, P · K.
    pub fn batch_len(&self) -> usize {
        self.batch.classes * self.batch.images_per_class
    }

    /// Returns the seed given to [`new`](Self::new).
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns all images of the class of `image`.
    pub(super) fn class_members(&self, image: usize) -> &[usize] {
        self.classes.members(self.classes.label(image))
    }

    /// Returns the batches of an epoch, each P · K indices of images. The images of a class are adjacent.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let rng = &mut stream(Purpose::Batches, self.seed, epoch, 0);
        let sample: fn(&Classes, &BatchConfig, &mut ChaCha8Rng) -> Vec<Vec<usize>> =
            match self.batch.sampler {
                Sampler::Proportional => proportional::epoch,
                Sampler::Uniform => uniform::epoch,
                Sampler::EveryImage => every_image::epoch,
            };
        sample(&self.classes, &self.batch, rng)
    }

    /// Returns how much of the split an epoch covers.
    pub fn coverage(&self, epoch: usize) -> Coverage {
        let mut images = vec![false; self.classes.images()];
        let mut classes = vec![false; self.classes.len()];
        for image in self.epoch(epoch).into_iter().flatten() {
            images[image] = true;
            classes[self.classes.label(image)] = true;
        }
        let share = |seen: &[bool]| {
            seen.iter().filter(|&&seen| seen).count() as f64 / seen.len().max(1) as f64
        };
        Coverage {
            images: share(&images),
            classes: share(&classes),
        }
    }
}
