//! Batches of the training split, randomly transformed.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;

use super::batches_between;
use super::epochs::{Epochs, Sampled};
use crate::data::batches::HostBatch;
use crate::data::config::LoadingConfig;
use crate::data::prefetch::Prefetcher;
use crate::data::{
    DataError, ImageBatch, LoaderErrors, PairSampler, Split, Transform, worker_count,
};

/// Batches of P classes × K images, randomly transformed. Each `iter` gives the next epoch; loaders
/// made by `to_device` count the epochs together and share the workers, which go on into the next
/// epoch while nobody asks.
///
/// # Memory
/// At most `prefetch` batches are begun or wait, of 12 · P · K · S² bytes each (and a quarter more
/// while it is put together); one more is on its way to the device; and each worker holds one file
/// with its decoded pixels: 100 million at most, of 3 bytes, or of up to 15 while those of a
/// transparent or 16 bit PNG are converted.
#[derive(Clone)]
pub struct TrainLoader<B: Backend> {
    split: Arc<Split>,
    sampler: Arc<PairSampler>,
    transform: Arc<Transform>,
    /// Batches of each epoch that this loader gives.
    range: Range<usize>,
    next_epoch: Arc<AtomicUsize>,
    /// One behind the last epoch.
    end: usize,
    ahead: Arc<Mutex<Ahead>>,
    loading: LoadingConfig,
    failure: LoaderErrors,
    device: B::Device,
}

/// The workers, and where they are.
#[derive(Default)]
struct Ahead {
    prefetcher: Option<Prefetcher<Epochs>>,
    /// Epoch and batch of it that the prefetcher gives next.
    next: (usize, usize),
}

impl<B: Backend> TrainLoader<B> {
    /// A loader of `epochs`: its first `iter` gives the first, 1 or where a resumed run goes on.
    /// `sampler` must be that of the split's labels; its seed is also the augmentation's.
    pub fn new(
        split: Arc<Split>,
        sampler: PairSampler,
        transform: Transform,
        epochs: Range<usize>,
        loading: &LoadingConfig,
        failure: LoaderErrors,
        device: &B::Device,
    ) -> Self {
        Self {
            split,
            range: 0..sampler.batches_per_epoch(),
            sampler: Arc::new(sampler),
            transform: Arc::new(transform),
            next_epoch: Arc::new(AtomicUsize::new(epochs.start)),
            end: epochs.end,
            ahead: Arc::default(),
            loading: loading.clone(),
            failure,
            device: device.clone(),
        }
    }

    /// The split that the loader and its workers hold.
    #[cfg(test)]
    pub(super) fn split_for_test(&self) -> Arc<Split> {
        self.split.clone()
    }

    /// The batch at `place` of an epoch; the workers start there if they are elsewhere.
    fn batch(&self, epoch: usize, place: usize) -> Option<Result<HostBatch, DataError>> {
        let mut ahead = lock(&self.ahead);
        if ahead.prefetcher.is_none() || ahead.next != (epoch, place) {
            // An epoch was left early. The old workers end before the new ones start.
            ahead.prefetcher = None;
            let mut start = Prefetcher::new(
                Arc::new(self.epochs_from(epoch)),
                worker_count(self.loading.workers),
                self.loading.prefetch,
            );
            for _ in 0..place {
                if let Some(Err(error)) = start.next() {
                    return Some(Err(error));
                }
            }
            ahead.prefetcher = Some(start);
        }
        let per_epoch = self.range.len();
        ahead.next = match place + 1 == per_epoch {
            true => (epoch + 1, 0),
            false => (epoch, place + 1),
        };
        let batch = ahead.prefetcher.as_mut()?.next();
        if !matches!(batch, Some(Ok(_))) {
            // It has ended; whoever asks for more starts anew.
            ahead.prefetcher = None;
        }
        batch
    }

    fn epochs_from(&self, epoch: usize) -> Epochs {
        Epochs {
            split: self.split.clone(),
            sampler: self.sampler.clone(),
            min_side: self.transform.min_side(&self.transform.train_resizes()),
            transform: self.transform.clone(),
            epochs: epoch..self.end.max(epoch + 1),
            range: self.range.clone(),
            broken: self.loading.broken_images,
            failure: self.failure.clone(),
            sampled: Sampled::new(self.loading.prefetch),
        }
    }
}

fn lock(ahead: &Mutex<Ahead>) -> MutexGuard<'_, Ahead> {
    // A panic of a worker passes through here; nothing is half done then.
    ahead
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The batches of an epoch.
struct TrainBatches<'a, B: Backend> {
    loader: &'a TrainLoader<B>,
    epoch: usize,
    given: usize,
    failed: bool,
}

impl<B: Backend> Iterator for TrainBatches<'_, B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let loader = self.loader;
        if self.failed || self.given == loader.range.len() {
            return None;
        }
        match loader.batch(self.epoch, self.given)? {
            Ok(batch) => {
                self.given += 1;
                let last = self.given == loader.range.len();
                let side = loader.transform.image_size();
                Some(batch.upload(&loader.split, side, self.epoch, last, &loader.device))
            }
            Err(error) => {
                self.failed = true;
                loader.failure.record(error);
                None
            }
        }
    }
}

impl<B: Backend> DataLoaderIterator<ImageBatch<B>> for TrainBatches<'_, B> {
    fn progress(&self) -> Progress {
        let batch = self.loader.sampler.batch_len();
        Progress::new(self.given * batch, self.loader.range.len() * batch)
    }
}

impl<B: Backend> DataLoader<B, ImageBatch<B>> for TrainLoader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch<B>> + 'a> {
        Box::new(TrainBatches {
            loader: self,
            epoch: self.next_epoch.fetch_add(1, Ordering::SeqCst),
            given: 0,
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

    /// The batches that start at items `start` to `end` of this loader's; they count their epochs
    /// on their own, since the parts of a split loader are each asked for every epoch.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B, ImageBatch<B>>> {
        let next_epoch = self.next_epoch.load(Ordering::SeqCst);
        Arc::new(Self {
            range: batches_between(&self.range, start, end, self.sampler.batch_len()),
            next_epoch: Arc::new(AtomicUsize::new(next_epoch)),
            ahead: Arc::default(),
            ..self.clone()
        })
    }
}
