//! A whole training step of a network: forward, loss, backward, Adam; and the forward pass alone.

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Int, Tensor};
use burn_train::Learner;
use serde::Serialize;

use super::median_ms;
use crate::backend::Place;
use crate::config::Config;
use crate::data::{ImageBatch, Schedule};
use crate::model::{Embedder, EmbedderConfig};
use crate::training::{Objective, Protocol, Regime, StepDecay, Trainee, TwoRateAdam, Validation};

/// What is timed: the network, loss and optimiser of a configuration, on images of noise.
#[derive(Debug, Clone)]
pub struct StepBenchmark {
    /// Network, image size, batch, loss, negatives and optimiser.
    pub config: Config,
    /// Repetitions that count.
    pub repeats: usize,
}

/// What it took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StepTiming {
    /// Median time of a training step, in milliseconds.
    pub step_ms: f64,
    /// Median time of a forward pass without gradients, in milliseconds.
    pub forward_ms: f64,
    /// Images trained on in a second.
    pub images_per_second: f64,
}

impl StepBenchmark {
    /// Times the step and the forward pass.
    pub fn run<B: AutodiffBackend>(&self, place: &Place<B>) -> StepTiming {
        let device = &place.device;
        let config = &self.config;
        B::seed(device, config.training.seed);
        let per_class = config.batch.images_per_class;
        let n = config.batch.classes * per_class;
        let side = config.data.transform.image_size;
        let noise = Distribution::Normal(0.0, 1.0);
        let images = Tensor::<B, 4>::random([n, 3, side, side], noise, device);
        let labels: Vec<i32> = (0..n).map(|i| (i / per_class) as i32).collect();
        let labels = Tensor::<B, 1, Int>::from_ints(labels.as_slice(), device);

        let embedder = network(config, place);
        let for_inference = embedder.valid();
        let mut step = training_step(embedder, config);
        let step_ms = median_ms::<B>(device, self.repeats, || {
            step(ImageBatch {
                images: images.clone(),
                labels: labels.clone(),
                indices: (0..n).collect(),
                epoch: 1,
                last: true,
            });
        });
        let images = images.inner();
        let forward_ms = median_ms::<B>(device, self.repeats, || {
            for_inference.forward(images.clone());
        });
        StepTiming {
            step_ms,
            forward_ms,
            images_per_second: n as f64 / step_ms * 1e3,
        }
    }
}

/// The untrained network of a configuration.
pub(super) fn network<B: AutodiffBackend>(config: &Config, place: &Place<B>) -> Embedder<B> {
    EmbedderConfig::from(&config.model)
        .with_path(place.path)
        .init(&place.device)
}

/// A training step of a network: forward, loss, backward, Adam.
pub(super) fn training_step<B: AutodiffBackend>(
    embedder: Embedder<B>,
    config: &Config,
) -> impl FnMut(ImageBatch<B>) {
    let validation = Validation::new(Protocol::default(), Schedule::Always, []);
    let trainee = Trainee::new(
        embedder,
        Objective::new(config),
        Regime::new(config),
        validation,
    );
    let schedule = StepDecay::new(&config.optimizer, 1);
    let optimizer = TwoRateAdam::new(&config.optimizer);
    let mut learner = Learner::new(trainee, optimizer, schedule);
    move |batch| {
        learner.lr_step();
        let output = learner.train_step(batch);
        learner.optimizer_step(output.grads);
    }
}
