//! Batches on the device, behind Burn's `DataLoader`: [`TrainLoader`] for the training split,
//! [`SplitLoader`] for a split in order.
//!
//! What a batch holds is a function of (seed, epoch, its place in the epoch); workers and
//! prefetching change the speed alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::backend::Backend;
use burn_dataset::Dataset;

use super::batches::{Augmentation, Batches, Plan};
use super::{ImageBatch, LoadFailure, PairSampler, Split, Transform};
use crate::config::LoadingConfig;

/// Batches of P classes × K images, randomly transformed. Each `iter` gives the next epoch; loaders
/// made by `to_device` count the epochs together.
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

impl<B: Backend> Clone for TrainLoader<B> {
    fn clone(&self) -> Self {
        Self {
            split: self.split.clone(),
            sampler: self.sampler.clone(),
            transform: self.transform.clone(),
            range: self.range.clone(),
            next_epoch: self.next_epoch.clone(),
            loading: self.loading.clone(),
            failure: self.failure.clone(),
            device: self.device.clone(),
        }
    }
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

impl<B: Backend> Clone for SplitLoader<B> {
    fn clone(&self) -> Self {
        Self {
            split: self.split.clone(),
            transform: self.transform.clone(),
            batch_size: self.batch_size,
            range: self.range.clone(),
            schedule: self.schedule,
            next_epoch: self.next_epoch.clone(),
            loading: self.loading.clone(),
            failure: self.failure.clone(),
            device: self.device.clone(),
        }
    }
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

/// The part of `range`, in batches of `batch_len` items, that starts at items `start` to `end`.
fn batches_between(
    range: &Range<usize>,
    start: usize,
    end: usize,
    batch_len: usize,
) -> Range<usize> {
    let batch = |item: usize| range.end.min(range.start + item / batch_len);
    batch(start)..batch(end)
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::config::{BatchConfig, TransformConfig};
    use crate::data::{DataError, Images};

    type B = Flex;

    /// Twelve images of three classes, of a colour of their own and a left edge of 255; image
    /// `broken` cannot be read.
    struct Coloured {
        broken: Option<usize>,
    }

    impl Images for Coloured {
        fn image(&self, index: usize) -> Result<RgbImage, DataError> {
            if self.broken == Some(index) {
                return Err(DataError::Truncated {
                    path: format!("{index}.png").into(),
                });
            }
            Ok(RgbImage::from_fn(6, 6, |x, _| {
                Rgb([if x == 0 { 255 } else { 10 * index as u8 }; 3])
            }))
        }

        fn name(&self, index: usize) -> String {
            format!("{index}.png")
        }
    }

    fn split(broken: Option<usize>) -> Arc<Split> {
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let labels = (0..12).map(|i| i / 4).collect();
        Arc::new(Split::new(
            "train",
            names,
            labels,
            Arc::new(Coloured { broken }),
        ))
    }

    fn transform() -> Transform {
        let config = TransformConfig {
            image_size: 4,
            resize: 6,
            mean: [0.0; 3],
            std: [1.0 / 255.0; 3],
            ..Default::default()
        };
        Transform::new(&config).unwrap()
    }

    fn loading(workers: usize, prefetch: usize) -> LoadingConfig {
        LoadingConfig { workers, prefetch }
    }

    fn train_loader(first_epoch: usize, workers: usize) -> TrainLoader<B> {
        let batch = BatchConfig {
            classes: 2,
            images_per_class: 2,
        };
        // Six classes of two images: three batches an epoch.
        let labels: Vec<usize> = (0..12).map(|i| i / 2).collect();
        let names = labels.iter().map(|label| label.to_string()).collect();
        let images = Arc::new(Coloured { broken: None });
        let sampler = PairSampler::new(&labels, &batch, 3).unwrap();
        TrainLoader::new(
            Arc::new(Split::new("train", names, labels, images)),
            sampler,
            transform(),
            first_epoch,
            &loading(workers, 2),
            LoadFailure::default(),
            &Default::default(),
        )
    }

    fn split_loader(
        broken: Option<usize>,
        schedule: Schedule,
        failure: LoadFailure,
    ) -> SplitLoader<B> {
        let device = Default::default();
        SplitLoader::new(
            split(broken),
            transform(),
            5,
            schedule,
            &loading(2, 2),
            failure,
            &device,
        )
    }

    /// Everything an epoch holds: pixels, labels, epoch, last.
    type Contents = Vec<(Vec<f32>, Vec<i64>, usize, bool)>;

    fn contents(loader: &dyn DataLoader<B, ImageBatch<B>>) -> Contents {
        let batches = loader.iter().map(|batch| {
            let labels = batch
                .labels
                .into_data()
                .convert::<i64>()
                .into_vec()
                .unwrap();
            (
                batch.images.into_data().into_vec().unwrap(),
                labels,
                batch.epoch,
                batch.last,
            )
        });
        batches.collect()
    }

    #[test]
    fn a_split_comes_whole_and_in_order_with_a_smaller_last_batch() {
        let loader = split_loader(None, Schedule::Always, LoadFailure::default());
        assert_eq!(loader.num_items(), 12);
        let mut batches = loader.iter();
        let batch = batches.next().unwrap();
        assert_eq!(
            (batch.images.dims(), batch.labels.dims()),
            ([5, 3, 4, 4], [5])
        );
        assert_eq!((batch.epoch, batch.last, batch.total), (1, false, 12));
        assert_eq!(batches.progress().items_processed, 5);
        assert_eq!(batches.progress().items_total, 12);
        drop(batches);

        let epoch = contents(&loader);
        let labels: Vec<i64> = epoch.iter().flat_map(|batch| batch.1.clone()).collect();
        assert_eq!(labels, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(
            epoch.iter().map(|batch| batch.3).collect::<Vec<_>>(),
            [false, false, true]
        );
        for (i, image) in epoch
            .iter()
            .flat_map(|batch| batch.0.chunks(48))
            .enumerate()
        {
            assert!(
                (image[3] - 10.0 * i as f32).abs() < 0.01,
                "right edge of image {i}"
            );
        }
    }

    #[test]
    fn validation_gives_every_nth_epoch_and_the_last() {
        let schedule = Schedule::Every {
            interval: 3,
            first_epoch: 2,
            last_epoch: 7,
        };
        let loader = split_loader(None, schedule, LoadFailure::default());
        let given: Vec<usize> = (2..=7).map(|_| contents(&loader).len()).collect();
        assert_eq!(given, [0, 3, 0, 0, 3, 3]);
    }

    #[test]
    fn training_batches_do_not_depend_on_workers_or_earlier_epochs() {
        let unbroken = train_loader(1, 1);
        let first = contents(&unbroken);
        let second = contents(&unbroken);
        let third = contents(&unbroken);
        assert_eq!(first.len(), 3);
        assert_eq!(third[2].2, 3);
        assert_ne!(first[0].0, second[0].0);
        assert_eq!(contents(&train_loader(3, 4)), third, "resumed at epoch 3");
    }

    #[test]
    fn loaders_of_two_devices_count_epochs_together() {
        let loader = train_loader(4, 2);
        let moved = loader.to_device(&Default::default());
        assert_eq!(contents(&loader)[0].2, 4);
        assert_eq!(contents(&*moved)[0].2, 5);
    }

    #[test]
    fn slices_are_the_batches_of_the_whole() {
        let whole = contents(&train_loader(1, 2));
        let loader = train_loader(1, 2);
        let (left, right) = (loader.slice(0, 6), loader.slice(6, 12));
        assert_eq!(left.num_items() + right.num_items(), 12);
        let parts = [contents(&*left), contents(&*right)].concat();
        for (part, batch) in parts.iter().zip(&whole) {
            assert_eq!((&part.0, &part.1, part.2), (&batch.0, &batch.1, batch.2));
        }
        let split = split_loader(None, Schedule::Always, LoadFailure::default());
        assert_eq!(split.slice(3, 9).slice(2, 6).num_items(), 4);
    }

    #[test]
    fn a_broken_image_ends_the_batches_and_is_kept_for_the_caller() {
        let told = Arc::new(AtomicUsize::new(0));
        let failure = LoadFailure::with_callback({
            let told = told.clone();
            move |_| _ = told.fetch_add(1, Ordering::SeqCst)
        });
        let loader = split_loader(Some(7), Schedule::Always, failure.clone());
        let epoch = contents(&loader);
        assert_eq!(epoch.len(), 1);
        assert!(!epoch[0].3);
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert!(failure.take().unwrap().to_string().contains("7.png"));
        assert!(failure.take().is_none());
    }
}
