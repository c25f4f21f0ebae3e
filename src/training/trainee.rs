//! The network with its objective: the step that Burn's Learner repeats.

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn_train::metric::ItemLazy;
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use super::Regime;
use super::validation::Validation;
use crate::config::{Config, Reduction};
use crate::data::ImageBatch;
use crate::loss::{Loss, LossStatistics};
use crate::model::{Embedder, WayBack};
use crate::negatives::{Negatives, Space};

/// What the network is trained towards.
#[derive(Debug, Clone)]
pub struct Objective {
    negatives: Negatives,
    space: Space,
    loss: Loss,
    reduction: Reduction,
}

impl Objective {
    /// The objective of a configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            negatives: config.negatives.init(),
            space: config.model.space(),
            loss: config.loss.kind.init(),
            reduction: config.loss.reduction,
        }
    }
}

/// An embedder in training. Its record is the embedder's, under the name `embedder`.
#[derive(Module, Debug)]
pub struct Trainee<B: Backend> {
    /// The network.
    pub embedder: Embedder<B>,
    #[module(skip)]
    objective: Objective,
    #[module(skip)]
    regime: Regime,
    #[module(skip)]
    validation: Validation,
}

impl<B: Backend> Trainee<B> {
    /// Puts a network, its objective, its regime and the place for its measurements together.
    pub fn new(
        embedder: Embedder<B>,
        objective: Objective,
        regime: Regime,
        validation: Validation,
    ) -> Self {
        Self {
            embedder,
            objective,
            regime,
            validation,
        }
    }
}

/// What a training step leaves for the metrics, still on the device.
pub struct StepOutput<B: AutodiffBackend> {
    /// The loss's statistics, then the sum of all embeddings, which is not finite if one is not.
    packed: Tensor<B::InnerBackend, 1>,
}

/// What a training step leaves for the metrics, on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStatistics {
    /// The loss's statistics.
    pub loss: LossStatistics,
    /// Whether every embedding was finite. The loss alone does not tell: comparisons of numbers
    /// that are none may give ordinary distances.
    pub finite_embeddings: bool,
}

impl<B: AutodiffBackend> ItemLazy for StepOutput<B> {
    type ItemSync = StepStatistics;

    // Called in the metrics' thread: the training itself does not wait for the device.
    fn sync(self) -> StepStatistics {
        let [length] = self.packed.dims();
        let packed = self.packed.into_data().convert::<f64>();
        let values = packed.as_slice::<f64>().expect("just converted");
        let (statistics, sum) = values.split_at(length - 1);
        let statistics = TensorData::new(statistics.to_vec(), [length - 1]);
        StepStatistics {
            loss: LossStatistics::from_data(statistics).expect("statistics are floats"),
            finite_embeddings: sum[0].is_finite(),
        }
    }
}

/// Validation leaves its measurement in [`Validation`].
pub struct Validated;

impl ItemLazy for Validated {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
    }
}

impl<B: AutodiffBackend> TrainStep for Trainee<B> {
    type Input = ImageBatch<B>;
    type Output = StepOutput<B>;

    fn step(&self, batch: ImageBatch<B>) -> TrainOutput<StepOutput<B>> {
        self.forward(batch).backward()
    }
}

/// A training step whose gradients are yet to come.
pub struct PendingStep<'m, B: AutodiffBackend> {
    loss: Tensor<B, 1>,
    way_back: WayBack<'m, B>,
    output: StepOutput<B>,
}

impl<B: AutodiffBackend> PendingStep<'_, B> {
    /// The gradients of the loss by parameter, and what the step leaves for the metrics.
    pub fn backward(self) -> TrainOutput<StepOutput<B>> {
        TrainOutput {
            grads: self.way_back.gradients(self.loss),
            item: self.output,
        }
    }
}

impl<B: AutodiffBackend> Trainee<B> {
    /// The forward half of a training step: embeddings, comparisons, loss.
    pub fn forward(&self, batch: ImageBatch<B>) -> PendingStep<'_, B> {
        let Objective {
            negatives,
            space,
            loss,
            reduction,
        } = &self.objective;
        let pass = self.regime.pass(batch.epoch, &batch.indices);
        let (embeddings, way_back) = self.embedder.forward_train(batch.images, pass);
        let sum = embeddings.clone().inner().sum();
        let comparisons = negatives.compare(embeddings, batch.labels, *space, loss.measure());
        let output = loss.forward(comparisons);
        let packed = Tensor::cat(vec![output.statistics().inner(), sum], 0);
        let loss = match reduction {
            Reduction::Sum => output.sum(),
            Reduction::Mean => output.mean(),
        };
        PendingStep {
            loss,
            way_back,
            output: StepOutput { packed },
        }
    }
}

impl<B: Backend> InferenceStep for Trainee<B> {
    type Input = ImageBatch<B>;
    type Output = Validated;

    fn step(&self, batch: ImageBatch<B>) -> Validated {
        self.validation.step(&self.embedder, batch);
        Validated
    }
}
