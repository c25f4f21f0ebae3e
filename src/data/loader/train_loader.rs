//! Batches of the training split, randomly transformed.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;

use super::error::LoaderError;
use super::errors::LoaderErrors;
use super::slices::batches_between;
use super::train_job::{SampledEpochs, TrainJob};
use crate::data::batches::{HostBatch, ImageBatch};
use crate::data::config::LoadingConfig;
use crate::data::parallel::worker_count;
use crate::data::prefetch::Prefetcher;
use crate::data::sampler::PairSampler;
use crate::data::split::Split;
use crate::data::transform::Transform;

/// Batches of P classes × K images, randomly transformed.
///
/// Each `iter` returns the next epoch. Loaders made by `to_device` share the count of epochs and the
/// workers. The workers continue with the next epoch before it is asked for.
///
/// # Memory
/// - At most `prefetch` batches are loading or ready, of 12 · P · K · S² bytes each (and a quarter more
///   during collation).
/// - One more batch is being uploaded to the device.
/// - Each worker holds one file with its decoded pixels: at most 100 million, of 3 bytes each, or of up
///   to 15 while those of a transparent or 16 bit PNG are converted.
#[derive(Clone)]
pub struct TrainLoader<B: Backend> {
    split: Arc<Split>,
    sampler: Arc<PairSampler>,
    transform: Arc<Transform>,
    /// Batches of each epoch that this loader returns.
    range: Range<usize>,
    next_epoch: Arc<AtomicUsize>,
    /// Batches of the first epoch that are not returned: a resumed run has taken their steps.
    taken: usize,
    first_epoch: usize,
    /// One after the last epoch.
    end: usize,
    prefetch: Arc<Mutex<Prefetch>>,
    loading: LoadingConfig,
    errors: LoaderErrors,
    device: B::Device,
}

/// The workers and their position.
#[derive(Default)]
struct Prefetch {
    prefetcher: Option<Prefetcher<TrainJob>>,
    /// The epoch, and the batch in it, that the prefetcher returns next.
    next: (usize, usize),
}

impl<B: Backend> TrainLoader<B> {
    /// Makes a loader of `epochs`. The first `iter` returns `epochs.start`: 1, or the epoch at which a
    /// run resumes. `sampler` must be made of the split's labels; its seed is also the seed of the
    /// augmentation.
    pub fn new(
        split: Arc<Split>,
        sampler: PairSampler,
        transform: Transform,
        epochs: Range<usize>,
        loading: &LoadingConfig,
        errors: LoaderErrors,
        device: &B::Device,
    ) -> Self {
        Self {
            split,
            range: 0..sampler.batches_per_epoch(),
            sampler: Arc::new(sampler),
            transform: Arc::new(transform),
            next_epoch: Arc::new(AtomicUsize::new(epochs.start)),
            taken: 0,
            first_epoch: epochs.start,
            end: epochs.end,
            prefetch: Arc::default(),
            loading: loading.clone(),
            errors,
            device: device.clone(),
        }
    }

    /// Starts the first epoch after its first `batches` batches, which are not loaded.
    pub fn starting_after(self, batches: usize) -> Self {
        Self {
            taken: batches,
            ..self
        }
    }

    /// Returns the split that the loader and its workers hold.
    #[cfg(test)]
    pub(super) fn split_for_test(&self) -> Arc<Split> {
        self.split.clone()
    }

    /// Returns batch `position` of an epoch. Restarts the workers there if they are elsewhere.
    fn batch(&self, epoch: usize, position: usize) -> Option<Result<HostBatch, LoaderError>> {
        let mut prefetch = lock(&self.prefetch);
        if prefetch.prefetcher.is_none() || prefetch.next != (epoch, position) {
            // The consumer left an epoch early. The old workers end before the new ones start.
            prefetch.prefetcher = None;
            prefetch.prefetcher = Some(Prefetcher::new(
                Arc::new(self.job_from(epoch, position)),
                worker_count(self.loading.workers),
                self.loading.prefetch,
            ));
        }
        let per_epoch = self.range.len();
        prefetch.next = match position + 1 == per_epoch {
            true => (epoch + 1, 0),
            false => (epoch, position + 1),
        };
        let batch = prefetch.prefetcher.as_mut()?.next();
        if !matches!(batch, Some(Ok(_))) {
            // The prefetcher has ended. The next call starts another.
            prefetch.prefetcher = None;
        }
        batch
    }

    fn job_from(&self, epoch: usize, position: usize) -> TrainJob {
        TrainJob {
            split: self.split.clone(),
            sampler: self.sampler.clone(),
            min_side: self.transform.min_side(&self.transform.train_resizes()),
            transform: self.transform.clone(),
            epochs: epoch..self.end.max(epoch + 1),
            range: self.range.clone(),
            skipped: position,
            broken: self.loading.broken_images,
            errors: self.errors.clone(),
            sampled: SampledEpochs::new(self.loading.prefetch),
        }
    }
}

fn lock(prefetch: &Mutex<Prefetch>) -> MutexGuard<'_, Prefetch> {
    // A panic of a worker may unwind through the guard. The state is consistent then.
    prefetch
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The batches of an epoch.
struct TrainBatches<'a, B: Backend> {
    loader: &'a TrainLoader<B>,
    epoch: usize,
    returned: usize,
    failed: bool,
}

impl<B: Backend> Iterator for TrainBatches<'_, B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let loader = self.loader;
        if self.failed || self.returned == loader.range.len() {
            return None;
        }
        match loader.batch(self.epoch, self.returned)? {
            Ok(batch) => {
                self.returned += 1;
                let last = self.returned == loader.range.len();
                let side = loader.transform.image_size();
                Some(batch.upload(&loader.split, side, self.epoch, last, &loader.device))
            }
            Err(error) => {
                self.failed = true;
                loader.errors.record(error);
                None
            }
        }
    }
}

impl<B: Backend> DataLoaderIterator<ImageBatch<B>> for TrainBatches<'_, B> {
    fn progress(&self) -> Progress {
        let batch = self.loader.sampler.batch_len();
        Progress::new(self.returned * batch, self.loader.range.len() * batch)
    }
}

impl<B: Backend> DataLoader<B, ImageBatch<B>> for TrainLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::SeqCst);
        let taken = if epoch == self.first_epoch {
            self.taken.min(self.range.len())
        } else {
            0
        };
        Box::new(TrainBatches {
            loader: self,
            epoch,
            returned: taken,
            failed: false,
        })
    }

    fn num_items(&self) -> usize {
        self.range.len() * self.sampler.batch_len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    /// Returns a loader of the batches that start at items `start` to `end` of this one. It counts its
    /// epochs separately, since Burn asks each slice for every epoch.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        let next_epoch = self.next_epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: batches_between(&self.range, start, end, self.sampler.batch_len()),
            next_epoch: Arc::new(AtomicUsize::new(next_epoch)),
            prefetch: Arc::default(),
            ..self.clone()
        })
    }
}
