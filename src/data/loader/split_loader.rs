//! A split in order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::backend::Backend;
use burn_dataset::Dataset;

use super::batches_between;
use crate::config::LoadingConfig;
use crate::data::batches::{Batches, Plan};
use crate::data::{ImageBatch, LoadFailure, Split, Transform};

/// Which of a [`SplitLoader`]'s `iter` calls give the split; the others give nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
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

impl Schedule {
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
    schedule: Schedule,
    next_epoch: Arc<AtomicUsize>,
    loading: LoadingConfig,
    failure: LoadFailure,
    device: B::Device,
}

impl<B: Backend> SplitLoader<B> {
    /// A loader of all of `split`, `batch_size` images (at least 1) at once.
    pub fn new(
        split: Arc<Split>,
        transform: Transform,
        batch_size: usize,
        schedule: Schedule,
        loading: &LoadingConfig,
        failure: LoadFailure,
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

impl<B: Backend> DataLoader<B, ImageBatch<B>> for SplitLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::SeqCst);
        let indices: Vec<usize> = match self.schedule.includes(epoch) {
            true => self.range.clone().collect(),
            false => Vec::new(),
        };
        let plan = Plan {
            split: self.split.clone(),
            transform: self.transform.clone(),
            batches: indices.chunks(self.batch_size).map(<[_]>::to_vec).collect(),
            augmentation: None,
        };
        Box::new(Batches::<B>::new(
            plan,
            epoch,
            &self.loading,
            &self.failure,
            &self.device,
        ))
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
