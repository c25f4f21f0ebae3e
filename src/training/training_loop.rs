//! The epochs of a training, with Burn's Learner.

use std::sync::Arc;

use burn::tensor::backend::{AutodiffBackend, DeviceOps};
use burn_train::metric::LearningRateMetric;
use burn_train::{Learner, SupervisedTraining};

use super::checkpoint::{CheckpointRecorder, CheckpointRetention};
use super::early_stopping::EarlyStopping;
use super::epoch_log::EpochLog;
use super::evaluate::{no_readable_query, split_loader};
use super::failure::TrainingFailure;
use super::guarded_renderer::GuardedRenderer;
use super::metric_learner::MetricLearner;
use super::metrics::{AnchorLossMetric, RecallMetric, Statistic, StatisticMetric};
use super::objective::Objective;
use super::observer::{RendererContext, TrainingEvent, TrainingObserver};
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::RunFolder;
use super::step_options::TrainStepSchedule;
use super::validation::{RetrievalProtocol, Validation};
use super::{GroupedAdam, StepDecay, TrainingError};
use crate::config::Config;
use crate::data::{
    DataError, EpochSchedule, LoaderErrors, PairSampler, Splits, TrainLoader, Transform,
};
use crate::model::Embedder;
use crate::panic_capture;

/// A network with its data, ready for its remaining epochs.
pub(super) struct TrainingLoop<'a, B: AutodiffBackend> {
    pub(super) config: &'a Config,
    pub(super) folder: RunFolder,
    pub(super) embedder: Embedder<B>,
    pub(super) splits: Splits,
    pub(super) sampler: PairSampler,
    /// The epoch of the checkpoint to resume from.
    pub(super) resumed: Option<usize>,
}

/// The epochs after which the test split is evaluated, from `first_epoch` on.
pub(super) fn validation_schedule(config: &Config, first_epoch: usize) -> EpochSchedule {
    EpochSchedule::Every {
        interval: config.training.validate_every,
        first_epoch,
        last_epoch: config.training.epochs,
    }
}

impl<B: AutodiffBackend> TrainingLoop<'_, B> {
    /// Trains from epoch `resumed + 1`, or 1, to the last.
    pub(super) fn run(self, context: &RunContext<B>) -> Result<TrainingSummary, TrainingError> {
        let Self {
            config,
            folder,
            embedder,
            splits,
            sampler,
            resumed,
        } = self;
        let RunContext {
            compute,
            ref observer,
            cancellation,
        } = *context;
        let failure = TrainingFailure::new(cancellation.clone());
        let device = &compute.device;
        let epochs = config.training.epochs;
        let known = folder
            .history()?
            .into_iter()
            .filter_map(|record| Some((record.epoch, record.recall?)));
        let first_epoch = resumed.map_or(1, |epoch| epoch + 1);
        let schedule = validation_schedule(config, first_epoch);
        let protocol = RetrievalProtocol::new(&config.evaluation, &splits.test);
        let validation = Validation::new(protocol, schedule, known);
        let loader_errors = LoaderErrors::cancelling(cancellation.clone());
        let rate = StepDecay::new(&config.optimizer, sampler.batches_per_epoch());
        let train_loader = TrainLoader::<B>::new(
            Arc::new(splits.train),
            sampler,
            Transform::new(&config.data.transform)?,
            first_epoch..epochs + 1,
            &config.data.loading,
            loader_errors.clone(),
            device,
        );
        let valid_loader = split_loader(
            config,
            splits.test,
            schedule,
            loader_errors.clone(),
            device.inner(),
        )?;

        let kept = folder.checkpoints().into_iter();
        let kept = kept.filter(|&epoch| epoch < first_epoch);
        let mut training = SupervisedTraining::new(
            folder.path(),
            Arc::new(train_loader),
            Arc::new(valid_loader),
        )
        .metric_train_numeric(AnchorLossMetric::new(failure.clone()));
        for statistic in Statistic::all(config.loss.kind.init().measure()) {
            training = training.metric_train_numeric(StatisticMetric::new(statistic));
        }
        training = training
            .metric_train_numeric(LearningRateMetric::new())
            .with_metric_logger(EpochLog::new(
                folder.clone(),
                validation.clone(),
                failure.clone(),
                epochs,
                observer.clone(),
            ))
            .with_file_checkpointer(CheckpointRecorder::default())
            .with_checkpointing_strategy(CheckpointRetention::new(
                validation.clone(),
                failure.clone(),
                kept,
            ))
            .with_interrupter(cancellation.interrupter())
            .with_application_logger(None)
            .num_epochs(epochs);
        for &k in &config.evaluation.recall {
            training = training.metric_valid_numeric(RecallMetric::new(k, validation.clone()));
        }
        if let Some(patience) = config.training.early_stopping {
            training = training.early_stopping(EarlyStopping::new(validation.clone(), patience));
        }
        if let Some(epoch) = resumed {
            training = training.checkpoint(epoch);
        }

        let learner = MetricLearner::new(
            embedder,
            Objective::new(config),
            TrainStepSchedule::new(config),
            validation.clone(),
        );
        let optimizer = GroupedAdam::new(&config.optimizer, device);
        // The dashboard replaces the panic hook and restores the one that it found.
        panic_capture::install();
        let running = Running::start(&**observer);
        training = training.renderer(GuardedRenderer::new(
            observer.renderer(RendererContext {
                cancellation: cancellation.clone(),
                resumed,
                epochs,
            }),
            cancellation.clone(),
        ));
        let result = training.launch(Learner::new(learner, optimizer, rate));
        // Closes the dashboard before anything else is printed.
        drop(result);
        drop(running);

        let skipped = loader_errors.skipped();
        if !skipped.is_empty() {
            observer.event(TrainingEvent::ImagesSkipped { causes: &skipped });
        }
        if let Some(error) = loader_errors.take() {
            return Err(DataError::from(error).into());
        }
        if let Some(error) = failure.take() {
            return Err(match error {
                TrainingError::Cancelled { .. } => TrainingError::Cancelled {
                    run: Some(folder.path().to_path_buf()),
                },
                other => other,
            });
        }
        summary(folder, &validation).ok_or_else(|| no_readable_query(&skipped))
    }
}

/// Reports the start of the training loop, and its end even if the loop panics.
struct Running<'a>(&'a dyn TrainingObserver);

impl<'a> Running<'a> {
    fn start(observer: &'a dyn TrainingObserver) -> Self {
        observer.event(TrainingEvent::LoopStarted);
        Self(observer)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.event(TrainingEvent::LoopEnded);
    }
}

/// The summary of a finished training; `None` if an evaluation had no image left, because images were
/// skipped that could be read when the run began.
fn summary(folder: RunFolder, validation: &Validation) -> Option<TrainingSummary> {
    let best = validation.best_epoch()?;
    Some(TrainingSummary {
        folder,
        untrained: validation.recall(0)?,
        best: (best, validation.recall(best)?),
    })
}
