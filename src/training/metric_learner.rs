//! The network with its objective: the step that Burn's Learner repeats.

use std::fmt;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor};
use burn::optim::GradientsParams;
use burn::record::Record;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_train::metric::ItemLazy;
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use super::pending_statistics::{PendingStatistics, pack};
use super::validation::Validation;
use super::{HostRecord, TrainStepSchedule};
use crate::config::Config;
use crate::data::ImageBatch;
use crate::loss::Reduction;
use crate::loss::{Loss, LossStatistics};
use crate::model::{BackwardPass, Embedder, EmbedderRecord};
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
#[derive(Debug, Clone)]
pub struct MetricLearner<B: Backend> {
    /// The network.
    pub embedder: Embedder<B>,
    objective: Objective,
    schedule: TrainStepSchedule,
    validation: Validation,
    pending: PendingStatistics,
}

impl<B: Backend> MetricLearner<B> {
    /// Puts a network, its objective, its schedule and the place for its measurements together.
    pub fn new(
        embedder: Embedder<B>,
        objective: Objective,
        schedule: TrainStepSchedule,
        validation: Validation,
    ) -> Self {
        Self {
            embedder,
            objective,
            schedule,
            validation,
            pending: PendingStatistics::default(),
        }
    }

    fn with_embedder<C: Backend>(&self, embedder: Embedder<C>) -> MetricLearner<C> {
        MetricLearner {
            embedder,
            objective: self.objective.clone(),
            schedule: self.schedule.clone(),
            validation: self.validation.clone(),
            pending: self.pending.clone(),
        }
    }
}

/// What a checkpoint holds of a [`MetricLearner`].
#[derive(Record)]
pub struct MetricLearnerRecord<B: Backend> {
    /// The network.
    pub embedder: EmbedderRecord<B>,
}

// What `derive(Module)` writes, but for the record, which is read by the thread that calls
// `into_record`.
impl<B: Backend> Module<B> for MetricLearner<B> {
    type Record = HostRecord<B, MetricLearnerRecord<B>>;

    fn collect_devices(&self, devices: Vec<B::Device>) -> Vec<B::Device> {
        self.embedder.collect_devices(devices)
    }

    fn fork(self, device: &B::Device) -> Self {
        self.with_embedder(self.embedder.clone().fork(device))
    }

    fn to_device(self, device: &B::Device) -> Self {
        self.with_embedder(self.embedder.clone().to_device(device))
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        self.embedder.visit(visitor);
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        Self {
            embedder: self.embedder.map(mapper),
            ..self
        }
    }

    fn load_record(self, record: Self::Record) -> Self {
        let record = record.upload(&self.embedder.head.weight.device());
        Self {
            embedder: self.embedder.load_record(record.embedder),
            ..self
        }
    }

    fn into_record(self) -> Self::Record {
        HostRecord::read(MetricLearnerRecord {
            embedder: self.embedder.into_record(),
        })
    }
}

impl<B: AutodiffBackend> AutodiffModule<B> for MetricLearner<B> {
    type InnerModule = MetricLearner<B::InnerBackend>;

    fn valid(&self) -> Self::InnerModule {
        self.with_embedder(self.embedder.valid())
    }

    fn from_inner(module: Self::InnerModule) -> Self {
        module.with_embedder(Embedder::from_inner(module.embedder.clone()))
    }
}

// What Burn's summary of a run shows.
impl<B: Backend> fmt::Display for MetricLearner<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.embedder.fmt(f)
    }
}

/// What a training step leaves for the metrics, on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStatistics {
    /// The loss's statistics.
    pub loss: LossStatistics,
    /// Whether every embedding was finite. The loss alone does not show it: comparisons with NaN may
    /// give ordinary distances.
    pub finite_embeddings: bool,
}

/// The statistics that were read in one training step: those of the step before, and at the end of
/// an epoch also its own.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedSteps(pub Vec<StepStatistics>);

impl ItemLazy for FinishedSteps {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
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

impl<B: AutodiffBackend> TrainStep for MetricLearner<B> {
    type Input = ImageBatch<B>;
    type Output = FinishedSteps;

    fn step(&self, batch: ImageBatch<B>) -> TrainOutput<FinishedSteps> {
        let last = batch.last;
        let (pending, statistics) = self.forward(batch);
        let grads = pending.gradients();
        TrainOutput {
            grads,
            item: FinishedSteps(self.pending.push(statistics, last)),
        }
    }
}

/// A training step whose gradients are yet to come.
pub struct ForwardPass<'m, B: AutodiffBackend> {
    loss: Tensor<B, 1>,
    backward: BackwardPass<'m, B>,
}

impl<B: AutodiffBackend> ForwardPass<'_, B> {
    /// The gradients of the loss by parameter.
    pub fn gradients(self) -> GradientsParams {
        self.backward.gradients(self.loss)
    }
}

impl<B: AutodiffBackend> MetricLearner<B> {
    /// The forward half of a training step, embeddings, comparisons and loss, and its statistics on
    /// the device.
    pub fn forward(
        &self,
        batch: ImageBatch<B>,
    ) -> (ForwardPass<'_, B>, Tensor<B::InnerBackend, 1>) {
        let Objective {
            negatives,
            space,
            loss,
            reduction,
        } = &self.objective;
        let pass = self.schedule.pass(batch.epoch, &batch.indices);
        let (embeddings, backward) = self.embedder.forward_train(batch.images, pass);
        let detached = embeddings.clone().inner();
        let comparisons = negatives.compare(embeddings, batch.labels, *space, loss.measure());
        let output = loss.forward(comparisons);
        let statistics = pack(output.statistics().inner(), detached);
        let loss = match reduction {
            Reduction::Sum => output.sum(),
            Reduction::Mean => output.mean(),
        };
        (ForwardPass { loss, backward }, statistics)
    }
}

impl<B: Backend> InferenceStep for MetricLearner<B> {
    type Input = ImageBatch<B>;
    type Output = Validated;

    fn step(&self, batch: ImageBatch<B>) -> Validated {
        self.validation.step(&self.embedder, batch);
        Validated
    }
}
