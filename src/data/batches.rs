//! From a list of images to batches on the device: workers read and transform, the iterator uploads.

use std::sync::Arc;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use image::RgbImage;

use super::parallel::worker_count;
use super::prefetch::{Prefetcher, Work};
use super::random::{Purpose, stream};
use super::{DataError, LoadFailure, Split, Transform};
use crate::config::LoadingConfig;

/// A batch of images on the device.
#[derive(Debug, Clone)]
pub struct ImageBatch<B: Backend> {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Tensor<B, 4>,
    /// Labels, `[N]`.
    pub labels: Tensor<B, 1, Int>,
    /// The epoch this batch belongs to, from 1.
    pub epoch: usize,
    /// Whether this is the last batch of the epoch or split.
    pub last: bool,
    /// Images of the whole epoch or split.
    pub total: usize,
}

/// The batches of one `iter`, as work for the prefetcher.
pub(super) struct Plan {
    pub(super) split: Arc<Split>,
    pub(super) transform: Arc<Transform>,
    /// Indices of images in the split.
    pub(super) batches: Vec<Vec<usize>>,
    /// The random transform's draws; none for the test transform.
    pub(super) augmentation: Option<Augmentation>,
}

pub(super) struct Augmentation {
    pub(super) seed: u64,
    pub(super) epoch: usize,
    /// Place in the epoch of the plan's first image.
    pub(super) first_position: usize,
}

impl Plan {
    fn images(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }
}

impl Work for Plan {
    type Piece = RgbImage;
    type Whole = Vec<f32>;

    fn batches(&self) -> usize {
        self.batches.len()
    }

    fn pieces(&self, batch: usize) -> usize {
        self.batches[batch].len()
    }

    fn piece(&self, batch: usize, piece: usize) -> Result<RgbImage, DataError> {
        let image = self.split.image(self.batches[batch][piece])?;
        Ok(match &self.augmentation {
            Some(Augmentation {
                seed,
                epoch,
                first_position,
            }) => {
                // Training batches are of one length.
                let position = first_position + batch * self.batches[0].len() + piece;
                let mut rng = stream(Purpose::Augmentation, *seed, *epoch, position);
                self.transform.train(&image, &mut rng)
            }
            None => self.transform.test(&image),
        })
    }

    /// The batch's values, `[N, 3, S, S]` row by row. Images travel as bytes until here: a quarter of
    /// the memory, and each value is written once.
    fn whole(&self, _batch: usize, images: Vec<RgbImage>) -> Vec<f32> {
        let length = self.transform.values_per_image();
        let mut values = vec![0.0; images.len() * length];
        for (image, values) in images.iter().zip(values.chunks_exact_mut(length)) {
            self.transform.normalize(image, values);
        }
        values
    }
}

/// The iterator of both loaders.
pub(super) struct Batches<B: Backend> {
    plan: Arc<Plan>,
    prefetcher: Prefetcher<Plan>,
    /// Batches and images given so far.
    given: (usize, usize),
    /// Images of all batches.
    total: usize,
    epoch: usize,
    failure: LoadFailure,
    device: B::Device,
}

impl<B: Backend> Batches<B> {
    pub(super) fn new(
        plan: Plan,
        epoch: usize,
        loading: &LoadingConfig,
        failure: &LoadFailure,
        device: &B::Device,
    ) -> Self {
        let plan = Arc::new(plan);
        let workers = worker_count(loading.workers);
        Self {
            prefetcher: Prefetcher::new(plan.clone(), workers, loading.prefetch),
            given: (0, 0),
            total: plan.images(),
            plan,
            epoch,
            failure: failure.clone(),
            device: device.clone(),
        }
    }
}

impl<B: Backend> Iterator for Batches<B> {
    type Item = ImageBatch<B>;

    fn next(&mut self) -> Option<ImageBatch<B>> {
        let values = match self.prefetcher.next()? {
            Ok(values) => values,
            Err(error) => {
                self.failure.record(error);
                return None;
            }
        };
        let indices = &self.plan.batches[self.given.0];
        let count = indices.len();
        self.given = (self.given.0 + 1, self.given.1 + count);
        let labels: Vec<i64> = indices
            .iter()
            .map(|&i| self.plan.split.labels()[i] as i64)
            .collect();
        let side = self.plan.transform.image_size();
        Some(ImageBatch {
            images: Tensor::from_data(
                TensorData::new(values, [count, 3, side, side]),
                &self.device,
            ),
            labels: Tensor::from_data(TensorData::new(labels, [count]), &self.device),
            epoch: self.epoch,
            last: self.given.0 == self.plan.batches.len(),
            total: self.total,
        })
    }
}

impl<B: Backend> DataLoaderIterator<ImageBatch<B>> for Batches<B> {
    fn progress(&self) -> Progress {
        Progress::new(self.given.1, self.total)
    }
}
