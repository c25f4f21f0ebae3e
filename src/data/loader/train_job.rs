//! The batches of all epochs of a training, for the prefetcher. Workers continue with the next epoch
//! while the network still trains on this one, or is evaluated.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use image::RgbImage;

use super::error::LoaderError;
use super::errors::LoaderErrors;
use crate::data::batches::{HostBatch, TransformedImage};
use crate::data::config::BrokenImages;
use crate::data::image_file::ImageError;
use crate::data::prefetch::BatchJob;
use crate::data::random::{Purpose, stream};
use crate::data::sampler::PairSampler;
use crate::data::split::Split;
use crate::data::transform::Transform;
use crate::data::upload::UploadMode;

/// Loads the batches of several epochs of the training split.
pub(super) struct TrainJob {
    pub(super) split: Arc<Split>,
    pub(super) sampler: Arc<PairSampler>,
    pub(super) transform: Arc<Transform>,
    /// Shorter side that DCT-scaled decoding must keep, from [`Transform::min_side`].
    pub(super) min_side: Option<u32>,
    /// The epochs to load.
    pub(super) epochs: Range<usize>,
    /// The rows of each batch to load.
    pub(super) rows: Range<usize>,
    /// The batches of each epoch to load.
    pub(super) range: Range<usize>,
    /// Batches of the first epoch that are not loaded.
    pub(super) skipped: usize,
    pub(super) mode: UploadMode,
    pub(super) broken: BrokenImages,
    pub(super) errors: LoaderErrors,
    pub(super) sampled: SampledEpochs,
}

/// The sampled batches (image indices) of the epochs that workers are loading.
pub(super) struct SampledEpochs {
    epochs: Mutex<BTreeMap<usize, Arc<Vec<Vec<usize>>>>>,
    /// Number of epochs that can be loading at the same time.
    kept: usize,
}

impl SampledEpochs {
    /// Starts empty. With `ahead` batches prefetched, and epochs of at least one batch, workers load at
    /// most `ahead + 1` epochs at the same time.
    pub(super) fn new(ahead: usize) -> Self {
        Self {
            epochs: Mutex::default(),
            kept: ahead + 1,
        }
    }

    fn epoch(&self, sampler: &PairSampler, epoch: usize) -> Arc<Vec<Vec<usize>>> {
        let mut epochs = self
            .epochs
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let batches = epochs
            .entry(epoch)
            .or_insert_with(|| Arc::new(sampler.epoch(epoch)))
            .clone();
        if epochs.len() > self.kept {
            epochs.pop_first();
        }
        batches
    }
}

impl TrainJob {
    /// Returns the epoch of a batch and its position in the epoch. Batches are counted from the first
    /// that is loaded.
    fn locate(&self, batch: usize) -> (usize, usize) {
        let per_epoch = self.range.len();
        let batch = batch + self.skipped;
        (
            self.epochs.start + batch / per_epoch,
            self.range.start + batch % per_epoch,
        )
    }

    /// Loads image `index` with the augmentation of `position` in `epoch`.
    fn load(&self, index: usize, epoch: usize, position: usize) -> Result<RgbImage, ImageError> {
        let seed = self.sampler.seed();
        let mut rng = stream(Purpose::Augmentation, seed, epoch, position);
        let resized = |resize| self.split.resized(index, resize, self.min_side);
        self.transform.train_from(&mut rng, resized)
    }

    /// Loads another image of the class instead of `index`, which cannot be read: the next that can be
    /// read, images that are not in the batch first.
    fn substitute(
        &self,
        index: usize,
        batch: &[usize],
        mut last: ImageError,
        load: impl Fn(usize) -> Result<RgbImage, ImageError>,
    ) -> Result<TransformedImage, LoaderError> {
        let class = self.sampler.class_members(index);
        let position = class.iter().position(|&image| image == index).unwrap_or(0);
        let others = class[position..].iter().chain(&class[..position]).skip(1);
        let (in_batch, new): (Vec<usize>, Vec<usize>) =
            others.partition(|image| batch.contains(image));
        for other in new.into_iter().chain(in_batch) {
            match load(other) {
                Ok(image) => return Ok((other, image)),
                Err(error) => {
                    self.errors.skip(&error);
                    last = error;
                }
            }
        }
        let label = self.split.labels()[index];
        Err(LoaderError::ClassBroken {
            class: self.split.class_names()[label].clone(),
            last: last.to_string(),
        })
    }
}

impl BatchJob for TrainJob {
    type Sample = TransformedImage;
    type Batch = HostBatch;
    type Error = LoaderError;

    fn batches(&self) -> usize {
        let all = self.epochs.len().saturating_mul(self.range.len());
        all.saturating_sub(self.skipped)
    }

    fn batch_len(&self, _batch: usize) -> usize {
        self.rows.len()
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<TransformedImage, LoaderError> {
        let (epoch, batch) = self.locate(batch);
        let batches = self.sampled.epoch(&self.sampler, epoch);
        let sample = self.rows.start + sample;
        let index = batches[batch][sample];
        let position = batch * self.sampler.batch_len() + sample;
        let load = |index| self.load(index, epoch, position);
        match load(index) {
            Ok(image) => Ok((index, image)),
            Err(error) if self.broken == BrokenImages::Skip => {
                self.errors.skip(&error);
                self.substitute(index, &batches[batch], error, load)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn collate(&self, _batch: usize, images: Vec<TransformedImage>) -> HostBatch {
        HostBatch::new(images, &self.transform, self.mode)
    }
}
