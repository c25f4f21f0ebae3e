//! The benchmark of the loader: images per second, decoded and from the cache, and the time that
//! training steps wait for images.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::tensor::backend::AutodiffBackend;
use serde::Serialize;

use super::step::{network, training_step};
use super::{BenchError, median, synchronise};
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::config::{BatchConfig, Sampler};
use crate::data::{
    self, DataError, ImageBatch, LoaderErrors, PairSampler, Split, TrainLoader, Transform,
    UploadMode,
};
use crate::process_memory::{peak_mib, reset_peak};
use crate::progress::{Monitor, Unit};

/// The benchmark of a configuration's training loader on its training images.
#[derive(Clone)]
pub struct LoaderBenchmark {
    /// Images, transforms, workers, and the network of the training steps. `data.cache` is ignored.
    pub config: Config,
    /// Approximate batch size; a batch consists of whole classes of at least two images.
    pub batch: usize,
    /// Passes over all images that are timed; the results are their median.
    pub passes: usize,
    /// Training steps whose waiting time is measured; 0 skips this measurement.
    pub steps: usize,
}

/// The results of a [`LoaderBenchmark`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoaderTiming {
    /// Worker threads.
    pub workers: usize,
    /// Training images of a pass.
    pub images: usize,
    /// Images of a batch.
    pub batch: usize,
    /// Images per second in the first pass, which may read from the disk.
    pub cold_images_per_second: f64,
    /// Images per second, decoded from files in the system's page cache.
    pub images_per_second: f64,
    /// `images_per_second` divided by `workers`.
    pub images_per_second_per_worker: f64,
    /// Seconds to write the cache, or to check it if it exists.
    pub cache_seconds: f64,
    /// Images per second from the cache.
    pub cached_images_per_second: f64,
    /// Milliseconds to draw the batches of an epoch.
    pub sampler_ms: f64,
    /// Bytes of a batch's images that a GPU backend uploads. The CPU's tensors take the workers' values without a
    /// copy.
    pub upload_bytes: usize,
    /// Share of the training steps' time spent waiting for images, decoded and from the cache; `None`
    /// if it was not measured.
    pub waiting: Option<[f64; 2]>,
    /// Peak memory of the process during the decoded passes in MiB; `None` if unknown.
    pub peak_mib: Option<f64>,
}

impl LoaderBenchmark {
    /// Runs the benchmark.
    ///
    /// # Errors
    /// If an image is invalid, if the cache cannot be written, or if a stop was requested. This is
    /// checked after every batch.
    pub fn run<B: AutodiffBackend>(
        &self,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<LoaderTiming, BenchError> {
        let decoded = self.open(false, monitor)?;
        reset_peak();
        let mut rates = self.rates::<B>("decoding", &decoded, compute, monitor)?;
        let peak_mib = peak_mib();
        let cold_images_per_second = rates.remove(0);
        let images_per_second = median(&mut rates);

        let start = Instant::now();
        let cached = self.open(true, monitor)?;
        let cache_seconds = start.elapsed().as_secs_f64();
        let name = "loading from the cache";
        let mut cached_rates = self.rates::<B>(name, &cached, compute, monitor)?;
        cached_rates.remove(0);

        let waiting = match self.steps {
            0 => None,
            _ => Some([
                self.waiting(&decoded, compute, monitor)?,
                self.waiting(&cached, compute, monitor)?,
            ]),
        };
        let workers = data::worker_count(self.config.data.loading.workers);
        let batch = self.sampler(&decoded)?.batch_len();
        let side = self.config.data.transform.image_size;
        Ok(LoaderTiming {
            workers,
            images: decoded.labels().len(),
            batch,
            cold_images_per_second,
            images_per_second,
            images_per_second_per_worker: images_per_second / workers as f64,
            cache_seconds,
            cached_images_per_second: median(&mut cached_rates),
            sampler_ms: self.sampler_ms(&decoded)?,
            upload_bytes: UploadMode::BytesAhead.bytes(batch, side),
            waiting,
            peak_mib,
        })
    }

    fn open(&self, cache: bool, monitor: Monitor<'_>) -> Result<Arc<Split>, BenchError> {
        let mut data = self.config.data.clone();
        data.loading.cache = cache;
        let transform = Transform::new(&data.transform)?;
        let (cancellation, progress) = (&monitor.cancellation(), monitor.observer());
        let splits = data::open(&data, None, &transform, cancellation, progress)?;
        Ok(Arc::new(splits.train))
    }

    /// Returns a sampler of every image once an epoch, in batches of about the requested size.
    fn sampler(&self, split: &Split) -> Result<PairSampler, BenchError> {
        // A batch is not larger than the split.
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
            compute.image_upload(),
        ))
    }

    /// Returns the images per second of each pass, the first included. `name` is the task's.
    fn rates<B: AutodiffBackend>(
        &self,
        name: &str,
        split: &Arc<Split>,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<Vec<f64>, BenchError> {
        let failure = LoaderErrors::default();
        let passes = 1 + self.passes;
        let loader = self.loader(split, passes, &failure, compute)?;
        let total = loader.num_items() * passes;
        let task = monitor.task(name, Some(total), Unit::Images);
        task.check()?;
        let mut rates = Vec::new();
        for _ in 0..passes {
            let start = Instant::now();
            let mut images = 0;
            for batch in loader.iter() {
                let batch: ImageBatch<B> = batch;
                images += batch.indices.len();
                task.advance(batch.indices.len())?;
            }
            synchronise::<B>(&compute.device);
            rates.push(images as f64 / start.elapsed().as_secs_f64());
            if let Some(error) = failure.take() {
                return Err(DataError::from(error).into());
            }
        }
        task.finish();
        Ok(rates)
    }

    /// Returns the share of the training steps' time spent waiting for images. The first step is not
    /// counted, because its images cannot be prepared in advance.
    fn waiting<B: AutodiffBackend>(
        &self,
        split: &Arc<Split>,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<f64, BenchError> {
        let failure = LoaderErrors::default();
        let epochs = 1 + self.steps;
        let loader = self.loader(split, epochs, &failure, compute)?;
        let mut step = training_step(network(&self.config, compute), &self.config);
        let total = 1 + self.steps;
        let task = monitor.task("timing steps", Some(total), Unit::Repetitions);
        task.check()?;
        let (mut waited, mut worked, mut steps) = (0.0, 0.0, 0);
        'epochs: for _ in 0..epochs {
            let mut batches = loader.iter();
            loop {
                let start = Instant::now();
                let Some(batch) = batches.next() else { break };
                let ready = Instant::now();
                step(batch);
                synchronise::<B>(&compute.device);
                if steps > 0 {
                    waited += (ready - start).as_secs_f64();
                    worked += ready.elapsed().as_secs_f64();
                }
                task.advance(1)?;
                if steps == self.steps {
                    break 'epochs;
                }
                steps += 1;
            }
        }
        task.finish();
        match failure.take() {
            Some(error) => Err(DataError::from(error).into()),
            None => Ok(waited / (waited + worked)),
        }
    }

    /// Returns the time of the published sampler for an epoch with two images of each class, in
    /// milliseconds.
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
