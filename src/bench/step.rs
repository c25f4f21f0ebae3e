//! The benchmark of a training step, its parts and its memory.

use std::time::Instant;

use burn::module::AutodiffModule;
use burn::optim::Optimizer;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Tensor};
use burn_train::Learner;
use serde::Serialize;

use super::{BenchError, WARM_UP, median, median_ms, repetitions, synchronise};
use crate::backend::ComputeContext;
use crate::cancellation::Cancelled;
use crate::config::Config;
use crate::data::{EpochSchedule, ImageBatch, UploadMode};
use crate::model::config::Backbone;
use crate::model::{Embedder, EmbedderConfig};
use crate::process_memory::{peak_mib, reset_peak, resident_mib};
use crate::progress::{Monitor, Task, Unit};
use crate::training::{
    GroupedAdam, MetricLearner, Objective, RetrievalProtocol, StepDecay, TrainStepSchedule,
    Validation,
};

/// The benchmark of a configuration's network, loss and optimiser, on images or rows of features of noise.
#[derive(Debug, Clone)]
pub struct StepBenchmark {
    /// Network, image size, batch, loss, negatives and optimiser.
    pub config: Config,
    /// Repetitions that are timed.
    pub repeats: usize,
}

/// The results of a [`StepBenchmark`]. Times are medians in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StepTiming {
    /// A training step.
    pub step_ms: f64,
    /// Its forward pass and loss, with activations saved for the backward pass.
    pub training_forward_ms: f64,
    /// Its backward pass.
    pub backward_ms: f64,
    /// Its optimiser step, Adam.
    pub optimizer_ms: f64,
    /// A forward pass as in evaluation, without gradients.
    pub forward_ms: f64,
    /// Training images, or rows of features, per second.
    pub images_per_second: f64,
    /// Operations of the network's convolutions and dense layers in a forward pass, in 10⁹.
    pub forward_gflop: f64,
    /// Those of its gradients, in 10⁹.
    pub backward_gflop: f64,
    /// Operations per second of the forward pass of training, in 10⁹. Its time includes all other work of the pass.
    pub training_forward_gflop_per_second: f64,
    /// Those of the backward pass.
    pub backward_gflop_per_second: f64,
    /// Those of the forward pass without gradients.
    pub forward_gflop_per_second: f64,
    /// Bytes that a step uploads: images or features, labels, and the mask of dropout; 0 if tensors are in the
    /// memory of the process.
    pub upload_bytes: usize,
    /// Growth of the process in the first forward pass of a training step, in MiB per image of the
    /// batch: the saved activations, and freed memory that the allocator keeps. `None` if the memory is
    /// unknown, or if tensors are not in the memory of the process.
    pub activation_mib_per_image: Option<f64>,
    /// Peak memory of the process from the first step to the last in MiB; `None` as above.
    pub peak_mib: Option<f64>,
}

/// Medians of the parts of a step, in milliseconds.
struct Parts {
    forward: f64,
    backward: f64,
    optimizer: f64,
}

impl StepBenchmark {
    /// Runs the benchmark.
    ///
    /// # Errors
    /// If the device does not compute in the precision of the configuration, or if a stop was requested, which
    /// is checked between repetitions.
    pub fn run<B: AutodiffBackend>(
        &self,
        compute: &ComputeContext<B>,
        monitor: Monitor<'_>,
    ) -> Result<StepTiming, BenchError> {
        let device = &compute.device;
        let config = &self.config;
        compute.check_precision(config.training.precision)?;
        B::seed(device, config.training.seed);
        let batch = self.batch::<B>(device);
        let (images, n) = (batch.images.clone().inner(), batch.indices.len());

        // The parts of a step, steps, and forward passes.
        let total = 3 * repetitions(self.repeats);
        let task = monitor.task("timing steps", Some(total), Unit::Repetitions);
        let embedder = network(config, compute);
        let for_inference = embedder.valid();
        let operations = embedder.operations(n, config.data.transform.image_size);
        let forward_gflop = operations.forward as f64 / 1e9;
        let backward_gflop = operations.backward as f64 / 1e9;
        reset_peak();
        let activation_mib_per_image = compute
            .in_process
            .then(|| forward_memory(&learner(embedder.clone(), config), batch.clone()))
            .flatten()
            .map(|growth| growth / n as f64);
        let parts = self.parts(embedder.clone(), &batch, device, &task)?;
        let mut step = training_step(embedder, config);
        let step_ms = median_ms::<B>(device, self.repeats, &task, || step(batch.clone()))?;
        let peak_mib = compute.in_process.then(peak_mib).flatten();
        let forward_ms = median_ms::<B>(device, self.repeats, &task, || {
            for_inference.forward(images.clone());
        })?;
        task.finish();
        Ok(StepTiming {
            step_ms,
            training_forward_ms: parts.forward,
            backward_ms: parts.backward,
            optimizer_ms: parts.optimizer,
            forward_ms,
            images_per_second: n as f64 / step_ms * 1e3,
            forward_gflop,
            backward_gflop,
            training_forward_gflop_per_second: forward_gflop / parts.forward * 1e3,
            backward_gflop_per_second: backward_gflop / parts.backward * 1e3,
            forward_gflop_per_second: forward_gflop / forward_ms * 1e3,
            upload_bytes: self.upload_bytes(compute.upload),
            activation_mib_per_image,
            peak_mib,
        })
    }

    /// Returns the number of bytes that a training step uploads.
    fn upload_bytes(&self, mode: UploadMode) -> usize {
        let (model, batch) = (&self.config.model, &self.config.batch);
        let n = batch.classes * batch.images_per_class;
        let features = EmbedderConfig::from(model).features();
        let masked = match model.dropout > 0.0 {
            true => n * model.pooling.0.len() * model.hidden.unwrap_or(features),
            false => 0,
        };
        match mode {
            UploadMode::Normalized => 0,
            mode => {
                let input = match model.backbone {
                    Backbone::None => 4 * n * features,
                    _ => mode.bytes(n, self.config.data.transform.image_size),
                };
                input + 4 * (n + masked)
            }
        }
    }

    /// Returns a batch of noise.
    fn batch<B: AutodiffBackend>(&self, device: &B::Device) -> ImageBatch<B> {
        let per_class = self.config.batch.images_per_class;
        let n = self.config.batch.classes * per_class;
        let side = self.config.data.transform.image_size;
        let [channels, side] = match self.config.model.backbone {
            Backbone::None => [EmbedderConfig::from(&self.config.model).features(), 1],
            _ => [3, side],
        };
        let noise = Distribution::Normal(0.0, 1.0);
        ImageBatch {
            images: Tensor::random([n, channels, side, side], noise, device),
            labels: (0..n).map(|i| i / per_class).collect(),
            indices: (0..n).collect(),
            epoch: 1,
            // Within an epoch, statistics are read one step later.
            last: false,
        }
    }

    /// Times the parts of steps. The device is synchronised after each part.
    fn parts<B: AutodiffBackend>(
        &self,
        embedder: Embedder<B>,
        batch: &ImageBatch<B>,
        device: &B::Device,
        task: &Task<'_>,
    ) -> Result<Parts, Cancelled> {
        let config = &self.config;
        let mut learner = learner(embedder, config);
        let mut optimizer = GroupedAdam::new(&config.optimizer, device);
        let mut times = [const { Vec::new() }; 3];
        for repeat in 0..repetitions(self.repeats) {
            let mut since = Instant::now();
            let mut lap = || {
                synchronise::<B>(device);
                let took = since.elapsed().as_secs_f64() * 1e3;
                since = Instant::now();
                took
            };
            lap();
            let (forward_pass, _) = learner.forward(batch.clone());
            let forward = lap();
            let gradients = forward_pass.gradients();
            let backward = lap();
            learner = optimizer.step(config.optimizer.learning_rate, learner, gradients);
            let laps = [forward, backward, lap()];
            task.advance(1)?;
            if repeat >= WARM_UP {
                for (times, lap) in times.iter_mut().zip(laps) {
                    times.push(lap);
                }
            }
        }
        let [forward, backward, optimizer] = times.map(|mut times| median(&mut times));
        Ok(Parts {
            forward,
            backward,
            optimizer,
        })
    }
}

/// Returns the memory that a forward pass adds to the process until its backward pass, in MiB.
fn forward_memory<B: AutodiffBackend>(
    learner: &MetricLearner<B>,
    batch: ImageBatch<B>,
) -> Option<f64> {
    let before = resident_mib()?;
    let forward_pass = learner.forward(batch);
    let after = resident_mib()?;
    drop(forward_pass);
    Some(after - before)
}

/// Returns the untrained network of a configuration.
pub(super) fn network<B: AutodiffBackend>(
    config: &Config,
    compute: &ComputeContext<B>,
) -> Embedder<B> {
    EmbedderConfig::from(&config.model)
        .with_algorithm(compute.conv)
        .with_seed(config.training.seed)
        .init(&compute.device)
}

fn learner<B: AutodiffBackend>(embedder: Embedder<B>, config: &Config) -> MetricLearner<B> {
    let validation = Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []);
    MetricLearner::new(
        embedder,
        Objective::new(config),
        TrainStepSchedule::new(config),
        validation,
    )
}

/// Returns a training step of a network: forward, loss, backward, Adam.
pub(super) fn training_step<B: AutodiffBackend>(
    embedder: Embedder<B>,
    config: &Config,
) -> impl FnMut(ImageBatch<B>) {
    let schedule = StepDecay::new(&config.optimizer, 1);
    let device = embedder.head.weight.device();
    let optimizer = GroupedAdam::new(&config.optimizer, &device);
    let mut learner = Learner::new(learner(embedder, config), optimizer, schedule);
    move |batch| {
        learner.lr_step();
        let output = learner.train_step(batch);
        learner.optimizer_step(output.grads);
    }
}
