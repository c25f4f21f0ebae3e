//! Batches of a split in order.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;
use burn_dataset::Dataset;

use super::error::LoaderError;
use super::errors::LoaderErrors;
use super::slices::batches_between;
use crate::data::batches::{HostBatch, ImageBatch, TransformedImage, UploadedBatch};
use crate::data::config::{BrokenImages, LoadingConfig};
use crate::data::pixels::PixelTable;
use crate::data::prefetch::BatchJob;
use crate::data::split::Split;
use crate::data::transform::Transform;
use crate::data::upload::{ImageUpload, UploadMode};
use crate::data::uploaded_batches::UploadedBatches;

/// Which of a [`SplitLoader`]'s `iter` calls return the split. The others return no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochSchedule {
    /// All calls, counted as epochs 1, 2, …
    Always,
    /// `iter` is called after each epoch of training. Epochs that are a multiple of `interval` (at
    /// least 1) return the split, and the last.
    Every {
        /// Epochs from one evaluation to the next.
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

    /// Returns whether the split is returned after `epoch`.
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

/// A whole split in order, with the test transform, in batches of `batch_size` images. The last batch
/// may be smaller.
///
/// # Memory
/// At most `prefetch` batches are loading or ready. On the device are the batch that was returned last and the next
/// one, and one more with [`UploadMode::BytesAhead`].
#[derive(Clone)]
pub struct SplitLoader<B: Backend> {
    split: Arc<Split>,
    transform: Arc<Transform>,
    batch_size: usize,
    /// Images of the split that this loader returns.
    range: Range<usize>,
    schedule: EpochSchedule,
    next_epoch: Arc<AtomicUsize>,
    loading: LoadingConfig,
    errors: LoaderErrors,
    upload: ImageUpload<B>,
}

impl<B: Backend> SplitLoader<B> {
    /// Makes a loader of all of `split`, in batches of `batch_size` images (at least 1).
    pub fn new(
        split: Arc<Split>,
        transform: Transform,
        batch_size: usize,
        schedule: EpochSchedule,
        loading: &LoadingConfig,
        errors: LoaderErrors,
        upload: ImageUpload<B>,
    ) -> Self {
        Self {
            range: 0..split.len(),
            split,
            transform: Arc::new(transform),
            batch_size: batch_size.max(1),
            schedule,
            next_epoch: Arc::new(AtomicUsize::new(schedule.first_epoch())),
            loading: loading.clone(),
            errors,
            upload,
        }
    }
}

impl<B: Backend> SplitLoader<B> {
    /// Returns only these images: the part of one of several processes.
    ///
    /// # Panics
    /// If the split has fewer images.
    pub fn sharing(self, images: Range<usize>) -> Self {
        assert!(images.end <= self.split.len(), "images of the split");
        Self {
            range: images,
            ..self
        }
    }

    /// Starts the workers, unless the split has features.
    fn source(&self) -> SplitSource<B> {
        if self.split.feature_dim().is_some() {
            return SplitSource::Features(self.range.clone());
        }
        let job = SplitJob {
            split: self.split.clone(),
            min_side: self.transform.min_side(&[self.transform.eval_resize()]),
            transform: self.transform.clone(),
            range: self.range.clone(),
            batch_size: self.batch_size,
            mode: self.upload.mode,
            broken: self.loading.broken_images,
            errors: self.errors.clone(),
        };
        SplitSource::Images(UploadedBatches::new(
            Arc::new(job),
            &self.loading,
            &self.upload,
        ))
    }
}

/// Loads the batches of a split in order.
struct SplitJob {
    split: Arc<Split>,
    transform: Arc<Transform>,
    /// Shorter side that DCT-scaled decoding must keep, from [`Transform::min_side`].
    min_side: Option<u32>,
    /// The images to load.
    range: Range<usize>,
    batch_size: usize,
    mode: UploadMode,
    broken: BrokenImages,
    errors: LoaderErrors,
}

impl BatchJob for SplitJob {
    /// `None` if the image cannot be read and is left out.
    type Sample = Option<TransformedImage>;
    type Batch = HostBatch;
    type Error = LoaderError;

    fn batches(&self) -> usize {
        self.range.len().div_ceil(self.batch_size)
    }

    fn batch_len(&self, batch: usize) -> usize {
        self.batch_size
            .min(self.range.len() - batch * self.batch_size)
    }

    fn sample(&self, batch: usize, sample: usize) -> Result<Option<TransformedImage>, LoaderError> {
        let index = self.range.start + batch * self.batch_size + sample;
        let resized = |resize| self.split.resized(index, resize, self.min_side);
        match self.transform.test_from(resized) {
            Ok(image) => Ok(Some((index, image))),
            Err(error) if self.broken == BrokenImages::Skip => {
                self.errors.skip(&error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn collate(&self, _batch: usize, images: Vec<Option<TransformedImage>>) -> HostBatch {
        let images = images.into_iter().flatten().collect();
        HostBatch::new(images, &self.transform, self.mode)
    }
}

/// Where the batches of one `iter` come from.
enum SplitSource<B: Backend> {
    /// Images that workers load.
    Images(UploadedBatches<SplitJob, B>),
    /// The rows of features that were not gathered yet.
    Features(Range<usize>),
}

/// The batches of one `iter`. One batch is held back: batches without a readable image are skipped, so
/// only the next batch shows whether this one is the last.
struct SplitBatches<'a, B: Backend> {
    loader: &'a SplitLoader<B>,
    batches: Option<SplitSource<B>>,
    held: Option<UploadedBatch<B>>,
    pixel_table: OnceCell<PixelTable<B>>,
    epoch: usize,
    /// Images returned so far.
    returned: usize,
    failed: bool,
}

impl<B: Backend> SplitBatches<'_, B> {
    /// Returns the next batch that has images.
    fn load(&mut self) -> Option<UploadedBatch<B>> {
        let batch = match self.batches.as_mut()? {
            SplitSource::Images(batches) => batches.next()?,
            SplitSource::Features(rows) => {
                let loader = self.loader;
                let end = rows.end.min(rows.start + loader.batch_size);
                let indices: Vec<usize> = (rows.start..end).collect();
                rows.start = end;
                if indices.is_empty() {
                    return None;
                }
                let batch = HostBatch::of_features(&loader.split, indices);
                Ok(batch.upload(&loader.upload.device))
            }
        };
        match batch {
            Ok(batch) => Some(batch),
            Err(error) => {
                self.batches = None;
                self.failed = true;
                self.loader.errors.record(error);
                None
            }
        }
    }
}

impl<B: Backend> Iterator for SplitBatches<'_, B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let batch = match self.held.take() {
            Some(batch) => batch,
            None => self.load()?,
        };
        self.held = self.load();
        self.returned += batch.indices.len();
        let SplitLoader {
            split,
            transform,
            upload,
            ..
        } = self.loader;
        // After a failure, no batch is the last.
        let last = self.held.is_none() && !self.failed;
        let pixel_table = || PixelTable::new(transform, &upload.device);
        Some(batch.normalize(split, self.epoch, last, || {
            self.pixel_table.get_or_init(pixel_table)
        }))
    }
}

impl<B: Backend> DataLoaderIterator<ImageBatch<B>> for SplitBatches<'_, B> {
    fn progress(&self) -> Progress {
        Progress::new(self.returned, self.loader.range.len())
    }
}

impl<B: Backend> DataLoader<B, ImageBatch<B>> for SplitLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::SeqCst);
        let included = self.schedule.includes(epoch);
        Box::new(SplitBatches {
            loader: self,
            batches: included.then(|| self.source()),
            held: None,
            pixel_table: OnceCell::new(),
            epoch,
            returned: 0,
            failed: false,
        })
    }

    fn num_items(&self) -> usize {
        self.range.len()
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

    /// Returns a loader of the images `start` to `end` of this one. It counts its epochs separately.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        let next_epoch = self.next_epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: batches_between(&self.range, start, end, 1),
            next_epoch: Arc::new(AtomicUsize::new(next_epoch)),
            ..self.clone()
        })
    }
}
