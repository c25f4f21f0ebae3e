//! Batches of the training split, randomly transformed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::backend::Backend;

use super::batches_between;
use crate::config::LoadingConfig;
use crate::data::batches::{Augmentation, Batches, Plan};
use crate::data::{ImageBatch, LoadFailure, PairSampler, Split, Transform};

/// Batches of P classes × K images, randomly transformed. Each `iter` gives the next epoch; loaders
/// made by `to_device` count the epochs together.
#[derive(Clone)]
pub struct TrainLoader<B: Backend> {
    split: Arc<Split>,
    sampler: Arc<PairSampler>,
    transform: Arc<Transform>,
    /// Batches of each epoch that this loader gives.
    range: Range<usize>,
    next_epoch: Arc<AtomicUsize>,
    loading: LoadingConfig,
    failure: LoadFailure,
    device: B::Device,
}

impl<B: Backend> TrainLoader<B> {
    /// A loader whose first `iter` gives epoch `first_epoch`: 1, or where a resumed run goes on.
    /// `sampler` must be that of the split's labels; its seed is also the augmentation's.
    pub fn new(
        split: Arc<Split>,
        sampler: PairSampler,
        transform: Transform,
        first_epoch: usize,
        loading: &LoadingConfig,
        failure: LoadFailure,
        device: &B::Device,
    ) -> Self {
        Self {
            split,
            range: 0..sampler.batches_per_epoch(),
            sampler: Arc::new(sampler),
            transform: Arc::new(transform),
            next_epoch: Arc::new(AtomicUsize::new(first_epoch)),
            loading: loading.clone(),
            failure,
            device: device.clone(),
        }
    }
}

impl<B: Backend> DataLoader<B, ImageBatch<B>> for TrainLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        let epoch = self.next_epoch.fetch_add(1, Ordering::SeqCst);
        let mut batches = self.sampler.epoch(epoch);
        let plan = Plan {
            split: self.split.clone(),
            transform: self.transform.clone(),
            batches: batches.drain(self.range.clone()).collect(),
            augmentation: Some(Augmentation {
                seed: self.sampler.seed(),
                epoch,
                first_position: self.range.start * self.sampler.batch_len(),
            }),
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
        self.range.len() * self.sampler.batch_len()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    /// The batches that start at items `start` to `end` of this loader's; they count their epochs
    /// on their own, since the parts of a split loader are each asked for every epoch.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        let next_epoch = self.next_epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: batches_between(&self.range, start, end, self.sampler.batch_len()),
            next_epoch: Arc::new(AtomicUsize::new(next_epoch)),
            ..self.clone()
        })
    }
}
