//! How many images the loader gives in a second, decoded and from its cache, and how long a training
//! step waits for them.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::tensor::backend::AutodiffBackend;
use serde::Serialize;

use super::memory::{peak_mib, reset_peak};
use super::step::{network, training_step};
use super::{BenchError, median, synchronise};
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::data::config::{BatchConfig, Sampler};
use crate::data::{
    self, DataError, ImageBatch, LoaderErrors, PairSampler, Split, TrainLoader, Transform,
};
use crate::progress::NoProgress;

/// What is timed: the training loader of a configuration on its training images.
#[derive(Clone)]
pub struct LoaderBenchmark {
    /// Images, transforms and workers; the network of the training steps. Whether there is a cache
    /// is decided here.
    pub config: Config,
    /// Images of a batch, about: whole classes of at least two images.
    pub batch: usize,
    /// Passes over all images that count; the median is given.
    pub passes: usize,
    /// Training steps during which the waiting is timed; 0 for none.
    pub steps: usize,
    /// What may end the opening of the images and the making of the cache.
    pub cancellation: CancellationToken,
}

/// What it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoaderTiming {
    /// Worker threads.
    pub workers: usize,
    /// Training images of a pass.
    pub images: usize,
    /// Images of a batch.
    pub batch: usize,
    /// Images a second in the first pass, which may read from the disk.
    pub cold_images_per_second: f64,
    /// Images a second, decoded from files that the system holds in memory.
    pub images_per_second: f64,
    /// The same for each worker.
    pub images_per_second_per_worker: f64,
    /// Seconds it took to make the cache, or to check it where it was there.
    pub cache_seconds: f64,
    /// Images a second from the cache.
    pub cached_images_per_second: f64,
    /// Milliseconds to draw the batches of an epoch.
    pub sampler_ms: f64,
    /// Share of the training steps' time in which they waited for images, decoded and from the
    /// cache.
    pub waiting: Option<[f64; 2]>,
    /// Most memory of the process during the decoded passes in MiB, where the system says it.
    pub peak_mib: Option<f64>,
}

impl LoaderBenchmark {
    /// Times it all.
    ///
    /// # Errors
    /// When the images are at fault, or the cache cannot be made.
    pub fn run<B: AutodiffBackend>(
        &self,
        compute: &ComputeContext<B>,
    ) -> Result<LoaderTiming, BenchError> {
        let decoded = self.open(false)?;
        reset_peak();
        let mut rates = self.rates::<B>(&decoded, compute)?;
        let peak_mib = peak_mib();
        let cold_images_per_second = rates.remove(0);
        let images_per_second = median(&mut rates);

        let start = Instant::now();
        let cached = self.open(true)?;
        let cache_seconds = start.elapsed().as_secs_f64();
        let mut cached_rates = self.rates::<B>(&cached, compute)?;
        cached_rates.remove(0);

        let waiting = match self.steps {
            0 => None,
            _ => Some([
                self.waiting(&decoded, compute)?,
                self.waiting(&cached, compute)?,
            ]),
        };
        let workers = data::worker_count(self.config.data.loading.workers);
        Ok(LoaderTiming {
            workers,
            images: decoded.labels().len(),
            batch: self.sampler(&decoded)?.batch_len(),
            cold_images_per_second,
            images_per_second,
            images_per_second_per_worker: images_per_second / workers as f64,
            cache_seconds,
            cached_images_per_second: median(&mut cached_rates),
            sampler_ms: self.sampler_ms(&decoded)?,
            waiting,
            peak_mib,
        })
    }

    fn open(&self, cache: bool) -> Result<Arc<Split>, BenchError> {
        let mut data = self.config.data.clone();
        data.loading.cache = cache;
        let transform = Transform::new(&data.transform)?;
        Ok(Arc::new(
            data::open(&data, &transform, &self.cancellation, &NoProgress)?.train,
        ))
    }

    /// Every image once an epoch, in batches of about the size asked for.
    fn sampler(&self, split: &Split) -> Result<PairSampler, BenchError> {
        // No more images than there are.
        let size = self.batch.min(split.labels().len());
        let images_per_class = size.div_ceil(split.class_names().len());
        let images_per_class = images_per_class.next_multiple_of(2);
        let batch = BatchConfig {
            classes: (size / images_per_class).max(2),
            images_per_class,
            sampler: Sampler::EveryImage,
        };
        let seed = self.config.training.seed;
        Ok(PairSampler::new(split.labels(), &batch, seed)?)
    }

    fn loader<B: AutodiffBackend>(
        &self,
        split: &Arc<Split>,
        epochs: usize,
        failure: &LoaderErrors,
        compute: &ComputeContext<B>,
    ) -> Result<TrainLoader<B>, BenchError> {
        Ok(TrainLoader::new(
            split.clone(),
            self.sampler(split)?,
            Transform::new(&self.config.data.transform)?,
            1..epochs + 1,
            &self.config.data.loading,
            failure.clone(),
            &compute.device,
        ))
    }

    /// Images a second of each pass, the first included.
    fn rates<B: AutodiffBackend>(
        &self,
        split: &Arc<Split>,
        compute: &ComputeContext<B>,
    ) -> Result<Vec<f64>, BenchError> {
        let failure = LoaderErrors::default();
        let passes = 1 + self.passes;
        let loader = self.loader(split, passes, &failure, compute)?;
        let mut rates = Vec::new();
        for _ in 0..passes {
            let start = Instant::now();
            let images: usize = loader
                .iter()
                .map(|batch: ImageBatch<B>| batch.indices.len())
                .sum();
            synchronise::<B>(&compute.device);
            rates.push(images as f64 / start.elapsed().as_secs_f64());
            if let Some(error) = failure.take() {
                return Err(DataError::from(error).into());
            }
            self.refuse_interruption()?;
        }
        Ok(rates)
    }

    /// Share of the time of training steps that goes by before their images are there. The first
    /// step, which nothing could be made ahead for, is left out.
    fn waiting<B: AutodiffBackend>(
        &self,
        split: &Arc<Split>,
        compute: &ComputeContext<B>,
    ) -> Result<f64, BenchError> {
        let failure = LoaderErrors::default();
        let epochs = 1 + self.steps;
        let loader = self.loader(split, epochs, &failure, compute)?;
        let mut step = training_step(network(&self.config, compute), &self.config);
        let (mut waited, mut worked, mut steps) = (0.0, 0.0, 0);
        'epochs: for _ in 0..epochs {
            let mut batches = loader.iter();
            loop {
                let start = Instant::now();
                let Some(batch) = batches.next() else { break };
                let ready = Instant::now();
                step(batch);
                synchronise::<B>(&compute.device);
                self.refuse_interruption()?;
                if steps > 0 {
                    waited += (ready - start).as_secs_f64();
                    worked += ready.elapsed().as_secs_f64();
                }
                if steps == self.steps {
                    break 'epochs;
                }
                steps += 1;
            }
        }
        match failure.take() {
            Some(error) => Err(DataError::from(error).into()),
            None => Ok(waited / (waited + worked)),
        }
    }

    fn refuse_interruption(&self) -> Result<(), BenchError> {
        match self.cancellation.is_cancelled() {
            true => Err(BenchError::Cancelled),
            false => Ok(()),
        }
    }

    /// The published sampler's time for an epoch with two images of a class.
    fn sampler_ms(&self, split: &Split) -> Result<f64, BenchError> {
        let batch = BatchConfig {
            classes: split.class_names().len().min(self.batch / 2).max(2),
            images_per_class: 2,
            sampler: Sampler::Proportional,
        };
        let sampler = PairSampler::new(split.labels(), &batch, self.config.training.seed)?;
        let mut times: Vec<f64> = (1..=20)
            .map(|epoch| {
                let start = Instant::now();
                std::hint::black_box(sampler.epoch(epoch));
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        Ok(median(&mut times))
    }
}
