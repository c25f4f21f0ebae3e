//! A whole training step of a network and its parts, and the memory it takes.

use std::time::Instant;

use burn::module::AutodiffModule;
use burn::optim::Optimizer;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Int, Tensor};
use burn_train::Learner;
use serde::Serialize;

use super::memory::{peak_mib, reset_peak, resident_mib};
use super::{WARM_UP, median, median_ms, synchronise};
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::{EpochSchedule, ImageBatch};
use crate::model::{Embedder, EmbedderConfig};
use crate::training::{
    GroupedAdam, MetricLearner, Objective, RetrievalProtocol, StepDecay, TrainStepSchedule,
    Validation,
};

/// What is timed: the network, loss and optimiser of a configuration, on images of noise.
#[derive(Debug, Clone)]
pub struct StepBenchmark {
    /// Network, image size, batch, loss, negatives and optimiser.
    pub config: Config,
    /// Repetitions that count.
    pub repeats: usize,
}

/// What it took. Times are medians in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StepTiming {
    /// A training step.
    pub step_ms: f64,
    /// Its forward pass with the loss, what the gradients need kept.
    pub training_forward_ms: f64,
    /// Its way back to the gradients.
    pub backward_ms: f64,
    /// Adam's step.
    pub optimizer_ms: f64,
    /// A forward pass as at evaluation, without gradients.
    pub forward_ms: f64,
    /// Images trained on in a second.
    pub images_per_second: f64,
    /// By how much the process grew in the first forward pass of a training step, in MiB for each image
    /// of the batch: what is kept for the way back, and what the allocator has not returned of the rest.
    /// Where the system says it and the backend computes in the process.
    pub activation_mib_per_image: Option<f64>,
    /// The most that the process held from the first step to the last, in MiB, likewise.
    pub peak_mib: Option<f64>,
}

/// Medians of the parts of a step, in milliseconds.
struct Parts {
    forward: f64,
    backward: f64,
    optimizer: f64,
}

impl StepBenchmark {
    /// Times the step, its parts and the forward pass.
    pub fn run<B: AutodiffBackend>(&self, compute: &ComputeContext<B>) -> StepTiming {
        let device = &compute.device;
        let config = &self.config;
        B::seed(device, config.training.seed);
        let batch = self.batch::<B>(device);
        let (images, n) = (batch.images.clone().inner(), batch.indices.len());

        let embedder = network(config, compute);
        let for_inference = embedder.valid();
        reset_peak();
        let activation_mib_per_image = compute
            .in_process
            .then(|| growth_of_forward(&learner(embedder.clone(), config), batch.clone()))
            .flatten()
            .map(|growth| growth / n as f64);
        let parts = self.parts(embedder.clone(), &batch, device);
        let mut step = training_step(embedder, config);
        let step_ms = median_ms::<B>(device, self.repeats, || step(batch.clone()));
        let peak_mib = compute.in_process.then(peak_mib).flatten();
        let forward_ms = median_ms::<B>(device, self.repeats, || {
            for_inference.forward(images.clone());
        });
        StepTiming {
            step_ms,
            training_forward_ms: parts.forward,
            backward_ms: parts.backward,
            optimizer_ms: parts.optimizer,
            forward_ms,
            images_per_second: n as f64 / step_ms * 1e3,
            activation_mib_per_image,
            peak_mib,
        }
    }

    /// A batch of noise.
    fn batch<B: AutodiffBackend>(&self, device: &B::Device) -> ImageBatch<B> {
        let per_class = self.config.batch.images_per_class;
        let n = self.config.batch.classes * per_class;
        let side = self.config.data.transform.image_size;
        let noise = Distribution::Normal(0.0, 1.0);
        let labels: Vec<i32> = (0..n).map(|i| (i / per_class) as i32).collect();
        ImageBatch {
            images: Tensor::random([n, 3, side, side], noise, device),
            labels: Tensor::<B, 1, Int>::from_ints(labels.as_slice(), device),
            indices: (0..n).collect(),
            epoch: 1,
            // Statistics are read a step late, as within an epoch.
            last: false,
        }
    }

    /// Times the parts of steps, each waited for.
    fn parts<B: AutodiffBackend>(
        &self,
        embedder: Embedder<B>,
        batch: &ImageBatch<B>,
        device: &B::Device,
    ) -> Parts {
        let config = &self.config;
        let mut learner = learner(embedder, config);
        let mut optimizer = GroupedAdam::new(&config.optimizer, device);
        let mut times = [const { Vec::new() }; 3];
        for repeat in 0..WARM_UP + self.repeats.max(1) {
            let mut since = Instant::now();
            let mut lap = || {
                synchronise::<B>(device);
                let took = since.elapsed().as_secs_f64() * 1e3;
                since = Instant::now();
                took
            };
            lap();
            let (pending, _) = learner.forward(batch.clone());
            let forward = lap();
            let gradients = pending.gradients();
            let backward = lap();
            learner = optimizer.step(config.optimizer.learning_rate, learner, gradients);
            let laps = [forward, backward, lap()];
            if repeat >= WARM_UP {
                for (times, lap) in times.iter_mut().zip(laps) {
                    times.push(lap);
                }
            }
        }
        let [forward, backward, optimizer] = times.map(|mut times| median(&mut times));
        Parts {
            forward,
            backward,
            optimizer,
        }
    }
}

/// What a forward pass adds to the memory of the process until its way back, in MiB.
fn growth_of_forward<B: AutodiffBackend>(
    learner: &MetricLearner<B>,
    batch: ImageBatch<B>,
) -> Option<f64> {
    let before = resident_mib()?;
    let pending = learner.forward(batch);
    let after = resident_mib()?;
    drop(pending);
    Some(after - before)
}

/// The untrained network of a configuration.
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

/// A training step of a network: forward, loss, backward, Adam.
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
