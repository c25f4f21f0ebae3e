//! A split in order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;
use burn_dataset::Dataset;

use super::batches_between;
use crate::data::batches::{HostBatch, TransformedImage};
use crate::data::config::{BrokenImages, LoadingConfig};
use crate::data::prefetch::{BatchJob, Prefetcher};
use crate::data::{DataError, ImageBatch, LoaderErrors, Split, Transform, worker_count};

/// Which of a [`SplitLoader`]'s `iter` calls give the split; the others give nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochSchedule {
    /// All of them, counted as epochs 1, 2, …
    Always,
    /// One call after each epoch of training: those whose epoch is a multiple of `interval` (at
    /// least 1), and the last.
    Every {
        /// Epochs from one measurement to the next.
        interval: usize,
        /// The epoch of the first call.
        first_epoch: usize,
        /// The last epoch of the run.
        last_epoch: usize,
    },
}

impl EpochSchedule {
    fn first_epoch(self) -> usize {
        match self {
            Self::Always => 1,
            Self::Every { first_epoch, .. } => first_epoch,
        }
    }

    /// Whether the split is given after `epoch`.
    pub fn includes(self, epoch: usize) -> bool {
        match self {
            Self::Always => true,
            Self::Every {
                interval,
                last_epoch,
                ..
            } => epoch.is_multiple_of(interval.max(1)) || epoch == last_epoch,
        }
    }
}

/// A whole split in order under the test transform, `batch_size` images at once, the last batch
/// smaller.
#[derive(Clone)]
pub struct SplitLoader<B: Backend> {
    split: Arc<Split>,
    transform: Arc<Transform>,
    batch_size: usize,
    /// Images of the split that this loader gives.
    range: Range<usize>,
    schedule: EpochSchedule,
    next_epoch: Arc<AtomicUsize>,
    loading: LoadingConfig,
    failure: LoaderErrors,
    device: B::Device,
}

impl<B: Backend> SplitLoader<B> {
    /// A loader of all of `split`, `batch_size` images (at least 1) at once.
    pub fn new(
        split: Arc<Split>,
        transform: Transform,
        batch_size: usize,
        schedule: EpochSchedule,
        loading: &LoadingConfig,
        failure: LoaderErrors,
        device: &B::Device,
    ) -> Self {
        Self {
            range: 0..split.len(),
            split,
            transform: Arc::new(transform),
            batch_size: batch_size.max(1),
            schedule,
            next_epoch: Arc::new(AtomicUsize::new(schedule.first_epoch())),
            loading: loading.clone(),
            failure,
            device: device.clone(),
        }
    }
}

/// A split in order, as work for the prefetcher.
struct InOrder {
    split: Arc<Split>,
    transform: Arc<Transform>,
    /// The shorter side that originals are decoded with, as [`Transform::min_side`] says.
    min_side: Option<u32>,
    /// The images that are made.
    range: Range<usize>,
    batch_size: usize,
    broken: BrokenImages,
    failure: LoaderErrors,
}

impl BatchJob for InOrder {
    /// None where the image cannot be read and is left out.
    type Sample = Option<TransformedImage>;
    type Batch = HostBatch;

    fn batches(&self) -> usize {
        self.range.len().div_ceil(self.batch_size)
    }

    fn batch_len(&self, batch: usize) -> usize {
        self.batch_size
            .min(self.range.len() - batch * self.batch_size)
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<Option<TransformedImage>, DataError> {
        let index = self.range.start + batch * self.batch_size + sample;
        let resized = |resize| self.split.resized(index, resize, self.min_side);
        match self.transform.test_from(resized) {
            Ok(image) => Ok(Some((index, image))),
            Err(error) if self.broken == BrokenImages::Skip => {
                self.failure.skip(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn collate(&self, _batch: usize, images: Vec<Option<TransformedImage>>) -> HostBatch {
        HostBatch::of(images.into_iter().flatten().collect(), &self.transform)
    }
}

/// The batches of one `iter`. One is held back, since only the next tells whether it is the last:
/// batches of which no image can be read are passed over.
struct SplitBatches<'a, B: Backend> {
    loader: &'a SplitLoader<B>,
    prefetcher: Option<Prefetcher<InOrder>>,
    held: Option<HostBatch>,
    epoch: usize,
    /// Images given so far.
    given: usize,
    failed: bool,
}

impl<B: Backend> SplitBatches<'_, B> {
    /// The next batch that has images.
    fn make(&mut self) -> Option<HostBatch> {
        loop {
            match self.prefetcher.as_mut()?.next()? {
                Ok(batch) if batch.indices.is_empty() => {}
                Ok(batch) => return Some(batch),
                Err(error) => {
                    self.prefetcher = None;
                    self.failed = true;
                    self.loader.failure.record(error);
                    return None;
                }
            }
        }
    }
}

impl<B: Backend> Iterator for SplitBatches<'_, B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let batch = match self.held.take() {
            Some(batch) => batch,
            None => self.make()?,
        };
        self.held = self.make();
        self.given += batch.indices.len();
        let SplitLoader {
            split,
            transform,
            device,
            ..
        } = self.loader;
        // Cut short by a failure, a split has no last batch.
        let last = self.held.is_none() && !self.failed;
        Some(batch.upload(split, transform.image_size(), self.epoch, last, device))
    }
}

impl<B: Backend> DataLoaderIterator<ImageBatch<B>> for SplitBatches<'_, B> {
    fn progress(&self) -> Progress {
        Progress::new(self.given, self.loader.range.len())
    }
}

impl<B: Backend> DataLoader<B, ImageBatch<B>> for SplitLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::SeqCst);
        let work = self.schedule.includes(epoch).then(|| InOrder {
            split: self.split.clone(),
            min_side: self.transform.min_side(&[self.transform.eval_resize()]),
            transform: self.transform.clone(),
            range: self.range.clone(),
            batch_size: self.batch_size,
            broken: self.loading.broken_images,
            failure: self.failure.clone(),
        });
        let workers = worker_count(self.loading.workers);
        let ahead = self.loading.prefetch;
        Box::new(SplitBatches {
            loader: self,
            prefetcher: work.map(|work| Prefetcher::new(Arc::new(work), workers, ahead)),
            held: None,
            epoch,
            given: 0,
            failed: false,
        })
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    /// Images `start` to `end` of this loader's; they count their epochs on their own.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        let next_epoch = self.next_epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: batches_between(&self.range, start, end, 1),
            next_epoch: Arc::new(AtomicUsize::new(next_epoch)),
            ..self.clone()
        })
    }
}
