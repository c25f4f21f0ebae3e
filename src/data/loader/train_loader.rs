//! Batches of the training split, randomly transformed.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;

use super::error::LoaderError;
use super::errors::LoaderErrors;
use super::slices::batches_between;
use super::train_job::{SampledEpochs, TrainJob};
use crate::data::batches::{HostBatch, ImageBatch, UploadedBatch};
use crate::data::config::LoadingConfig;
use crate::data::pixels::PixelTable;
use crate::data::sampler::PairSampler;
use crate::data::split::Split;
use crate::data::transform::Transform;
use crate::data::upload::ImageUpload;
use crate::data::uploaded_batches::UploadedBatches;

/// Batches of P classes × K images, randomly transformed.
///
/// Each `iter` returns the next epoch. Loaders made by `to_device` share the count of epochs and the
/// workers. The workers continue with the next epoch before it is asked for.
///
/// # Memory
/// - At most `prefetch` batches are loading or ready, of 12 · P · K · S² bytes each (and a quarter more
///   during collation), or a quarter of it if bytes are uploaded
///   ([`UploadMode`](crate::data::UploadMode)).
/// - One more batch is being uploaded to the device, or waits there.
/// - Rows of features are gathered from memory when a batch is taken: there are no workers and no batches ahead.
/// - Each worker holds one file with its decoded pixels: at most 100 million, of 3 bytes each, or of up
///   to 15 while those of a transparent or 16 bit PNG are converted.
#[derive(Clone)]
pub struct TrainLoader<B: Backend> {
    split: Arc<Split>,
    sampler: Arc<PairSampler>,
    transform: Arc<Transform>,
    /// Rows of each batch that this loader returns.
    rows: Range<usize>,
    /// Batches of each epoch that this loader returns.
    range: Range<usize>,
    next_epoch: Arc<AtomicUsize>,
    /// Batches of the first epoch that are not returned: a resumed run has taken their steps.
    taken: usize,
    first_epoch: usize,
    /// One after the last epoch.
    end: usize,
    prefetch: Arc<Mutex<Prefetch<B>>>,
    loading: LoadingConfig,
    errors: LoaderErrors,
    upload: ImageUpload<B>,
}

/// The workers and their position.
struct Prefetch<B: Backend> {
    batches: Option<UploadedBatches<TrainJob, B>>,
    /// The epoch, and the batch in it, that `batches` returns next.
    next: (usize, usize),
}

impl<B: Backend> Default for Prefetch<B> {
    fn default() -> Self {
        Self {
            batches: None,
            next: (0, 0),
        }
    }
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
        upload: ImageUpload<B>,
    ) -> Self {
        Self {
            split,
            rows: 0..sampler.batch_len(),
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
            upload,
        }
    }

    /// Returns only these rows of each batch: the part of one of several processes. Images and their augmentation
    /// are those of the whole batch.
    ///
    /// # Panics
    /// If a batch has fewer rows.
    pub fn sharing(self, rows: Range<usize>) -> Self {
        assert!(rows.end <= self.sampler.batch_len(), "rows of a batch");
        Self { rows, ..self }
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
    fn batch(
        &self,
        epoch: usize,
        position: usize,
    ) -> Option<Result<UploadedBatch<B>, LoaderError>> {
        let mut prefetch = lock(&self.prefetch);
        let is_next = prefetch.next == (epoch, position);
        let (loading, upload) = (&self.loading, &self.upload);
        let running = prefetch.batches.as_ref();
        if !running.is_some_and(|batches| is_next && batches.are_for(upload)) {
            // The consumer left an epoch early, or the device is another one. The old workers end before
            // the new ones start.
            prefetch.batches = None;
            let job = Arc::new(self.job_from(epoch, position));
            prefetch.batches = Some(UploadedBatches::new(job, loading, upload));
        }
        let per_epoch = self.range.len();
        prefetch.next = match position + 1 == per_epoch {
            true => (epoch + 1, 0),
            false => (epoch, position + 1),
        };
        let batch = prefetch.batches.as_mut()?.next();
        if !matches!(batch, Some(Ok(_))) {
            // They have ended. The next call starts others.
            prefetch.batches = None;
        }
        batch
    }

    /// Gathers batch `position` of an epoch, whose batches are `sampled`, if the split has features.
    fn features(
        &self,
        epoch: usize,
        position: usize,
        sampled: &OnceCell<Vec<Vec<usize>>>,
    ) -> Option<UploadedBatch<B>> {
        self.split.feature_dim()?;
        let sampled = sampled.get_or_init(|| self.sampler.epoch(epoch));
        let indices = sampled[self.range.start + position][self.rows.clone()].to_vec();
        Some(HostBatch::of_features(&self.split, indices).upload(&self.upload.device))
    }

    fn job_from(&self, epoch: usize, position: usize) -> TrainJob {
        TrainJob {
            split: self.split.clone(),
            sampler: self.sampler.clone(),
            min_side: self.transform.min_side(&self.transform.train_resizes()),
            transform: self.transform.clone(),
            epochs: epoch..self.end.max(epoch + 1),
            rows: self.rows.clone(),
            range: self.range.clone(),
            skipped: position,
            mode: self.upload.mode,
            broken: self.loading.broken_images,
            errors: self.errors.clone(),
            sampled: SampledEpochs::new(self.loading.prefetch),
        }
    }
}

fn lock<B: Backend>(prefetch: &Mutex<Prefetch<B>>) -> MutexGuard<'_, Prefetch<B>> {
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
    pixel_table: OnceCell<PixelTable<B>>,
    /// The batches of the epoch, if they are gathered here.
    sampled: OnceCell<Vec<Vec<usize>>>,
}

impl<B: Backend> Iterator for TrainBatches<'_, B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let loader = self.loader;
        if self.failed || self.returned == loader.range.len() {
            return None;
        }
        let gathered = loader.features(self.epoch, self.returned, &self.sampled);
        let batch = match gathered {
            Some(batch) => Ok(batch),
            None => loader.batch(self.epoch, self.returned)?,
        };
        match batch {
            Ok(batch) => {
                self.returned += 1;
                let last = self.returned == loader.range.len();
                let pixel_table = || PixelTable::new(&loader.transform, &loader.upload.device);
                Some(batch.normalize(&loader.split, self.epoch, last, || {
                    self.pixel_table.get_or_init(pixel_table)
                }))
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
            pixel_table: OnceCell::new(),
            sampled: OnceCell::new(),
        })
    }

    fn num_items(&self) -> usize {
        self.range.len() * self.sampler.batch_len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        Arc::new(Self {
            upload: ImageUpload {
                device: device.clone(),
                mode: self.upload.mode,
            },
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
