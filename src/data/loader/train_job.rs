//! The batches of all epochs of a training, as work for the prefetcher: the workers go on into the
//! next epoch while the network is still in this one, or measured.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use image::RgbImage;

use crate::data::batches::{HostBatch, TransformedImage};
use crate::data::config::BrokenImages;
use crate::data::prefetch::BatchJob;
use crate::data::random::{Purpose, stream};
use crate::data::{DataError, LoaderErrors, PairSampler, Split, Transform};

/// What the workers read.
pub(super) struct Epochs {
    pub(super) split: Arc<Split>,
    pub(super) sampler: Arc<PairSampler>,
    pub(super) transform: Arc<Transform>,
    /// The shorter side that originals are decoded with, as [`Transform::min_side`] says.
    pub(super) min_side: Option<u32>,
    /// The epochs to be made.
    pub(super) epochs: Range<usize>,
    /// The batches of each epoch that are made.
    pub(super) range: Range<usize>,
    pub(super) broken: BrokenImages,
    pub(super) failure: LoaderErrors,
    pub(super) sampled: Sampled,
}

/// The batches of the epochs under way.
pub(super) struct Sampled {
    epochs: Mutex<BTreeMap<usize, Arc<Vec<Vec<usize>>>>>,
    /// As many epochs as can be under way at once.
    kept: usize,
}

impl Sampled {
    /// Nothing yet, of epochs that may be of one batch, with so many batches made ahead.
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

impl Epochs {
    /// The epoch and the place in it of a batch, counted from the first that is made.
    fn place(&self, batch: usize) -> (usize, usize) {
        let per_epoch = self.range.len();
        (
            self.epochs.start + batch / per_epoch,
            self.range.start + batch % per_epoch,
        )
    }

    /// Image `index` as it is seen at `position` of `epoch`.
    fn view(&self, index: usize, epoch: usize, position: usize) -> Result<RgbImage, DataError> {
        let seed = self.sampler.seed();
        let mut rng = stream(Purpose::Augmentation, seed, epoch, position);
        let resized = |resize| self.split.resized(index, resize, self.min_side);
        self.transform.train_from(&mut rng, resized)
    }

    /// The next image of the class that can be read, those that the batch does not have first.
    fn stand_in(
        &self,
        index: usize,
        batch: &[usize],
        mut last: DataError,
        view: impl Fn(usize) -> Result<RgbImage, DataError>,
    ) -> Result<TransformedImage, DataError> {
        let class = self.sampler.class_of(index);
        let place = class.iter().position(|&image| image == index).unwrap_or(0);
        let others = class[place..].iter().chain(&class[..place]).skip(1);
        let (there, new): (Vec<usize>, Vec<usize>) =
            others.partition(|image| batch.contains(image));
        for other in new.into_iter().chain(there) {
            match view(other) {
                Ok(image) => return Ok((other, image)),
                Err(error) => {
                    self.failure.skip(&error);
                    last = error;
                }
            }
        }
        let label = self.split.labels()[index];
        Err(DataError::ClassBroken {
            class: self.split.class_names()[label].clone(),
            last: last.to_string(),
        })
    }
}

impl BatchJob for Epochs {
    type Sample = TransformedImage;
    type Batch = HostBatch;

    fn batches(&self) -> usize {
        self.epochs.len().saturating_mul(self.range.len())
    }

    fn batch_len(&self, _batch: usize) -> usize {
        self.sampler.batch_len()
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<TransformedImage, DataError> {
        let (epoch, place) = self.place(batch);
        let batches = self.sampled.epoch(&self.sampler, epoch);
        let index = batches[place][sample];
        let position = place * self.sampler.batch_len() + sample;
        let view = |index| self.view(index, epoch, position);
        match view(index) {
            Ok(image) => Ok((index, image)),
            Err(error) if self.broken == BrokenImages::Skip => {
                self.failure.skip(&error);
                self.stand_in(index, &batches[place], error, view)
            }
            Err(error) => Err(error),
        }
    }

    fn collate(&self, _batch: usize, images: Vec<TransformedImage>) -> HostBatch {
        HostBatch::of(images, &self.transform)
    }
}
