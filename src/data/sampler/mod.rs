//! Batches of P classes with K images each, the images of a class adjacent.
//!
//! Which classes and images an epoch meets is the sampler's: in proportion to a class's size as
//! published with Embedding Expansion and LoOp, every class alike, or every image once. All give the
//! batches as a function of (seed, epoch), with distinct classes in a batch and no image paired with
//! itself as long as its class has two.

mod classes;
pub(super) mod config;
mod every_image;
mod proportional;
#[cfg(test)]
mod tests;
mod uniform;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::DataError;
use super::random::{Purpose, stream};
use crate::data::config::{BatchConfig, Sampler};
use classes::Classes;

/// Gives the batches of every epoch as a function of (seed, epoch).
#[derive(Debug, Clone)]
pub struct PairSampler {
    classes: Classes,
    batch: BatchConfig,
    seed: u64,
}

/// How much of a split an epoch meets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of the images that come at least once, 0 to 1.
    pub images: f64,
    /// Share of the classes that come at least once, 0 to 1.
    pub classes: f64,
}

impl PairSampler {
    /// A sampler of images with these labels.
    ///
    /// # Errors
    /// P below 2 or above the number of classes, K odd or below 2.
    pub fn new(labels: &[usize], batch: &BatchConfig, seed: u64) -> Result<Self, DataError> {
        let classes = Classes::of(labels);
        if batch.classes < 2 {
            let hint = "negatives come from other classes of the batch; choose at least 2";
            return Err(DataError::setting("batch.classes", batch.classes, hint));
        }
        if batch.classes > classes.len() {
            let hint = format!(
                "the training split has {} classes, and those of a batch are distinct; choose at most that",
                classes.len()
            );
            return Err(DataError::setting("batch.classes", batch.classes, hint));
        }
        if batch.images_per_class < 2 || batch.images_per_class % 2 == 1 {
            let hint = "the images of a class are taken in pairs; choose an even number from 2";
            return Err(DataError::setting(
                "batch.images_per_class",
                batch.images_per_class,
                hint,
            ));
        }
        Ok(Self {
            classes,
            batch: batch.clone(),
            seed,
        })
    }

    /// Batches of an epoch, at least 1: ⌊classes · K / (P · K)⌋ as published, or as many as it takes
    /// to meet every image.
    pub fn batches_per_epoch(&self) -> usize {
        match self.batch.sampler {
            Sampler::Proportional | Sampler::Uniform => self.classes.len() / self.batch.classes,
            Sampler::EveryImage => every_image::batches(&self.classes, &self.batch),
        }
    }

    /// P · K, the images of a batch.
    pub fn batch_len(&self) -> usize {
        self.batch.classes * self.batch.images_per_class
    }

    /// The seed given to [`new`](Self::new).
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// All images of the class of `image`.
    pub(super) fn class_of(&self, image: usize) -> &[usize] {
        self.classes.members(self.classes.label(image))
    }

    /// The batches of an epoch, each P · K indices of images, those of a class adjacent.
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

    /// How much of the split an epoch meets.
    pub fn coverage(&self, epoch: usize) -> Coverage {
        let mut images = vec![false; self.classes.images()];
        let mut classes = vec![false; self.classes.len()];
        for image in self.epoch(epoch).into_iter().flatten() {
            images[image] = true;
            classes[self.classes.label(image)] = true;
        }
        let share =
            |met: &[bool]| met.iter().filter(|&&met| met).count() as f64 / met.len().max(1) as f64;
        Coverage {
            images: share(&images),
            classes: share(&classes),
        }
    }
}
