//! The module that Burn's Learner trains.

use std::fmt;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor};
use burn::record::Record;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::HostRecord;
use super::distributed::BatchSharing;
use super::objective::Objective;
use super::pending_statistics::PendingStatistics;
use super::step_options::TrainStepSchedule;
use super::validation::Validation;
use crate::model::{Embedder, EmbedderRecord};

/// An embedder with the objective it is trained for: the module that Burn's Learner trains.
///
/// Its record is the embedder's, under the name `embedder`.
#[derive(Debug, Clone)]
pub struct MetricLearner<B: Backend> {
    /// The network.
    pub embedder: Embedder<B>,
    pub(super) objective: Objective,
    pub(super) schedule: TrainStepSchedule,
    pub(super) validation: Validation,
    pub(super) pending: PendingStatistics,
    pub(super) sharing: BatchSharing,
}

impl<B: Backend> MetricLearner<B> {
    /// Creates a learner that trains `embedder` for `objective` and evaluates it by `validation`.
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
            sharing: BatchSharing::default(),
        }
    }

    /// Shares each batch with the other processes of a group.
    pub(super) fn sharing(self, sharing: BatchSharing) -> Self {
        Self { sharing, ..self }
    }

    fn with_embedder<C: Backend>(&self, embedder: Embedder<C>) -> MetricLearner<C> {
        MetricLearner {
            embedder,
            objective: self.objective.clone(),
            schedule: self.schedule.clone(),
            validation: self.validation.clone(),
            pending: self.pending.clone(),
            sharing: self.sharing.clone(),
        }
    }
}

/// The record of a [`MetricLearner`].
#[derive(Record)]
pub struct MetricLearnerRecord<B: Backend> {
    /// The network.
    pub embedder: EmbedderRecord<B>,
}

// `derive(Module)` would read the record in the thread that writes it; this implementation reads it in
// the thread that calls `into_record`.
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

// Burn's summary of a run shows it.
impl<B: Backend> fmt::Display for MetricLearner<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.embedder.fmt(f)
    }
}
