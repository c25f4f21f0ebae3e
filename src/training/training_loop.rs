//! A training from its first or a restored state to its result, with Burn's Learner.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_train::metric::LearningRateMetric;
use burn_train::{Learner, SupervisedTraining, TrainingStrategy};

use super::checkpoint::{CheckpointPosition, CheckpointSchedule};
use super::distributed::{BatchSharing, share_best};
use super::epoch_loop::{Ended, EpochLoop, EpochStrategy};
use super::evaluate::{inspected_evaluation, no_readable_query, split_loader};
use super::guarded_renderer::GuardedRenderer;
use super::measured::Measured;
use super::metric_learner::MetricLearner;
use super::metrics::{AnchorLossMetric, RetrievalMetric, Statistic, StatisticMetric};
use super::network::{RestoredState, load_epoch};
use super::noop_logger::NoopLogger;
use super::objective::Objective;
use super::observer::{RendererContext, TrainingEvent, TrainingObserver};
use super::retrieval_measure::RetrievalMeasure;
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{EndReason, EpochRecord, RunFolder, RunFolderError, RunResult};
use super::selection::best_epoch;
use super::skipped_images::SkippedImages;
use super::step_options::TrainStepSchedule;
use super::tensorboard::EventLog;
use super::validation::{Inspection, Inspector, RetrievalProtocol, Validation};
use super::{StepDecay, TrainingError};
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::{Config, Protocol};
use crate::data::{
    EpochSchedule, LoaderErrors, PairSampler, Split, Splits, TrainLoader, Transform,
};
use crate::distribution::ProcessGroup;
use crate::model::Embedder;
use crate::panic_capture;
use crate::progress::Monitor;
use crate::temporary_files::Registered;

/// A network with its data, ready for its remaining epochs.
pub(super) struct TrainingLoop<'a, B: AutodiffBackend> {
    pub(super) config: &'a Config,
    pub(super) folder: RunFolder,
    pub(super) state: RestoredState<B>,
    /// Why no epoch is left, if none is.
    pub(super) ended: Option<EndReason>,
    pub(super) splits: Splits,
    pub(super) sampler: PairSampler,
    /// The folder of a new run, which an immediate exit removes until an epoch is recorded.
    pub(super) unrecorded: Option<Registered>,
}

impl<B: AutodiffBackend> TrainingLoop<'_, B> {
    /// Trains the remaining epochs and measures the result.
    pub(super) fn run(mut self, context: &RunContext<B>) -> Result<TrainingSummary, TrainingError> {
        let mut history = self.folder.history()?;
        let mut events = None;
        if history.is_empty() {
            let (untrained, inspection) = self.evaluate_untrained(context)?;
            self.folder.append(&untrained)?;
            self.unrecorded = None;
            // Only now is the folder sure to stay.
            let mut begun = self.event_log(&[]);
            begun.add(&untrained, inspection.as_ref());
            events = Some(begun);
            context.observer.event(TrainingEvent::EpochRecorded {
                record: &untrained,
                epochs: self.config.training.epochs,
            });
            history.push(untrained);
        }
        let events = events.unwrap_or_else(|| self.event_log(&history));
        let errors = LoaderErrors::default();
        let test = self.splits.test.clone();
        let config = self.config;
        let folder = self.folder.clone();
        let ended = match self.ended {
            Some(reason) => Ok(Ended::Finished(reason)),
            None => self.train(&history, events, &errors, context),
        };
        let reported = SkippedImages::default().record(&errors, &folder, &*context.observer);
        let ended = ended?;
        reported?;
        match ended {
            Ended::Finished(reason) => finish(&folder, config, test, reason, context),
            Ended::Interrupted => Err(TrainingError::Cancelled {
                run: Some(folder.path().to_path_buf()),
            }),
        }
    }

    /// The split that chooses the best epoch.
    fn choosing_split(&self) -> &Split {
        self.splits.validation.as_ref().unwrap_or(&self.splits.test)
    }

    /// The events of the run for TensorBoard, with the epochs of `history`.
    fn event_log(&self, history: &[EpochRecord]) -> EventLog {
        let events = self.folder.tensorboard();
        match self.folder.is_of_other_process() {
            true => EventLog::disabled(events, self.choosing_split()),
            false => EventLog::open(self.config, events, self.choosing_split(), history),
        }
    }

    fn evaluate_untrained(
        &mut self,
        context: &RunContext<B>,
    ) -> Result<(EpochRecord, Option<Inspection>), TrainingError> {
        let since = Instant::now();
        let cancellation = own_cancellation(context);
        let seed = inspection_seed(self.config, &context.group);
        let inspector = seed.map(|seed| Inspector { seed, best: None });
        let evaluated = inspected_evaluation(
            &self.state.embedder.valid(),
            self.config,
            self.choosing_split(),
            inspector,
            &context.compute.without_gradients(),
            &context.group,
            Monitor::new(&cancellation, &*context.observer),
        );
        let evaluated = evaluated.map_err(|error| error.in_run(self.folder.path()))?;
        let record = EpochRecord {
            epoch: 0,
            training: Default::default(),
            recall: Some(evaluated.measured.recall),
            map_at_r: evaluated.measured.map_at_r,
            seconds: since.elapsed().as_secs_f64(),
        };
        Ok((record, evaluated.inspection))
    }

    fn train(
        self,
        history: &[EpochRecord],
        events: EventLog,
        errors: &LoaderErrors,
        context: &RunContext<B>,
    ) -> Result<Ended, TrainingError> {
        let Self {
            config,
            folder,
            state,
            splits,
            sampler,
            ..
        } = self;
        let RunContext {
            compute,
            ref observer,
            cancellation,
            ref group,
        } = *context;
        let epochs = config.training.epochs;
        let start = state.position;
        let first_epoch = start.complete_epochs() + 1;
        let known = history
            .iter()
            .filter_map(|record| Some((record.epoch, record.measured()?)));
        let choosing = splits.validation.unwrap_or(splits.test);
        let schedule = EpochSchedule::Every {
            interval: config.training.validate_every,
            first_epoch,
            last_epoch: epochs,
        };
        let protocol = RetrievalProtocol::new(&config.evaluation, &choosing);
        let recall = protocol.recall.clone();
        let validation = Validation::new(protocol, schedule, known)
            .cancelled_by(cancellation)
            .shared_by(group)
            .inspected(inspection_seed(config, group));
        let batches_per_epoch = sampler.batches_per_epoch();
        let steps =
            start.complete_epochs() * batches_per_epoch + start.steps().min(batches_per_epoch);
        let rate = StepDecay::new(&config.optimizer, batches_per_epoch).after(steps);
        let train = Arc::new(splits.train);
        let rows = group.share(sampler.batch_len());
        let train_loader = TrainLoader::<B>::new(
            train.clone(),
            sampler,
            Transform::new(&config.data.transform)?,
            first_epoch..epochs + 1,
            &config.data.loading,
            errors.clone(),
            compute.image_upload(),
        )
        .sharing(rows)
        .starting_after(start.steps());
        let evaluated = group.share(choosing.labels().len());
        let valid_loader = split_loader(
            config,
            choosing,
            schedule,
            errors.clone(),
            &compute.without_gradients(),
        )?
        .sharing(evaluated);

        let learner = MetricLearner::new(
            state.embedder,
            Objective::new(config),
            TrainStepSchedule::new(config),
            validation.clone(),
        )
        .sharing(BatchSharing {
            group: group.clone(),
            sync_batch_norm: config.training.sync_batch_norm,
        });
        let (strategy, result) = EpochStrategy::new(EpochLoop {
            config: config.clone(),
            folder: folder.clone(),
            split: train,
            validation: validation.clone(),
            optimizer: state.optimizer.clone(),
            pending: learner.pending.clone(),
            loader_errors: errors.clone(),
            cancellation: cancellation.clone(),
            observer: observer.clone(),
            start,
            statistics: state.statistics,
            history: history.iter().collect(),
            events,
            batches_per_epoch,
            group: group.clone(),
        });
        let mut training = SupervisedTraining::new(
            folder.path(),
            Arc::new(train_loader),
            Arc::new(valid_loader),
        )
        .metric_train_numeric(AnchorLossMetric::default());
        for statistic in Statistic::all(config.loss.kind.init().measure()) {
            training = training.metric_train_numeric(StatisticMetric::new(statistic));
        }
        training = training
            .metric_train_numeric(LearningRateMetric::new())
            .with_metric_logger(NoopLogger)
            .with_interrupter(cancellation.interrupter())
            .with_application_logger(None)
            .with_training_strategy(TrainingStrategy::Custom(strategy))
            .num_epochs(epochs);
        let recall = recall.into_iter().map(RetrievalMeasure::RecallAt);
        for measure in recall.chain([RetrievalMeasure::MapAtR]) {
            let metric = RetrievalMetric::new(measure, validation.clone());
            training = training.metric_valid_numeric(metric);
        }
        if first_epoch > 1 {
            training = training.checkpoint(first_epoch - 1);
        }
        let running = LoopEvents::start(&**observer);
        training = training.renderer(GuardedRenderer::new(
            observer.renderer(RendererContext {
                cancellation: cancellation.clone(),
                resumed: (first_epoch > 1).then_some(first_epoch - 1),
                epochs,
            }),
            cancellation.clone(),
        ));
        let learner = Learner::new(learner, state.optimizer, rate);
        // Burn's dashboard and backends report failures by panics.
        let launched = panic_capture::catch_with_texts(|| drop(training.launch(learner)));
        // Closes the dashboard before anything else is printed.
        drop(running);
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (result, launched) {
            (Some(result), _) => result,
            (None, Err(message)) => Err(TrainingError::Panicked {
                message,
                run: folder.path().to_path_buf(),
            }),
            (None, Ok(())) => unreachable!("the strategy puts its result there"),
        }
    }
}

/// The seed of the pairs that TensorBoard shows, if evaluations are inspected for it.
fn inspection_seed(config: &Config, group: &ProcessGroup) -> Option<u64> {
    let training = &config.training;
    (training.tensorboard && group.is_main()).then_some(training.seed)
}

/// The request that stops an evaluation at once: none if processes share it, because all must stop together.
fn own_cancellation<B: AutodiffBackend>(context: &RunContext<B>) -> CancellationToken {
    match context.group.is_single() {
        true => context.cancellation.clone(),
        false => CancellationToken::new(),
    }
}

/// Measures the best epoch on the test split and writes the result.
fn finish<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    test: Split,
    reason: EndReason,
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let history = folder.history()?;
    let measured = || {
        let trained = history.iter().filter(|record| record.epoch > 0);
        trained.filter_map(|record| Some((record.epoch, record.measured()?)))
    };
    let best = best_epoch(measured().map(|(epoch, measured)| (epoch, measured.score())));
    let best = best.ok_or_else(|| no_readable_query(&[]))?;
    let protocol = config.evaluation.protocol;
    let compute = context.compute.without_gradients();
    let candidates: Vec<(usize, Measured)> = measured().collect();
    let loaded = match context.group.is_main() {
        true => Some(load_best(
            folder,
            config,
            best,
            candidates.clone(),
            &compute,
        )?),
        false => None,
    };
    let (best_epoch, embedder) = share_best(&context.group, config, loaded, &compute)?;
    let mut candidates = candidates.into_iter();
    let best = candidates.find(|(other, _)| *other == best_epoch);
    let best_measured = best.expect("it was measured").1;
    let (validation, test) = match protocol {
        Protocol::Published => (None, best_measured),
        Protocol::Validated => {
            let cancellation = own_cancellation(context);
            let monitor = Monitor::new(&cancellation, &*context.observer);
            let group = &context.group;
            let evaluated =
                inspected_evaluation(&embedder, config, &test, None, &compute, group, monitor);
            let evaluated = evaluated.map_err(|error| error.in_run(folder.path()))?;
            if !evaluated.skipped.is_empty() {
                let causes = &evaluated.skipped;
                context
                    .observer
                    .event(TrainingEvent::ImagesSkipped { causes });
            }
            (Some(best_measured), evaluated.measured)
        }
    };
    // The training may have been killed before it deleted superseded checkpoints.
    let last = history.last().map_or(0, |record| record.epoch);
    let is_scheduled = |epoch| {
        let measured = measured().any(|(measured, _)| measured == epoch);
        CheckpointSchedule::is_scheduled(config.training.checkpoint_every, epoch, measured)
    };
    folder.prune(
        CheckpointPosition::end_of(last),
        config.training.keep_checkpoints,
        Some(best_epoch),
        is_scheduled,
    )?;
    let result = RunResult {
        reason,
        epochs: last,
        protocol,
        best_epoch,
        validation_map_at_r: validation.as_ref().and_then(|measured| measured.map_at_r),
        validation: validation.map(|measured| measured.recall),
        test: test.recall,
        test_map_at_r: test.map_at_r,
    };
    folder.write_result(&result)?;
    TrainingSummary::finished(folder.clone(), &history, result, false)
}

/// Loads the best epoch of `candidates` that has a checkpoint. `best` is the best of them.
fn load_best<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    best: usize,
    mut candidates: Vec<(usize, Measured)>,
    compute: &ComputeContext<B>,
) -> Result<(usize, Embedder<B>), TrainingError> {
    loop {
        let scores = candidates
            .iter()
            .map(|(epoch, measured)| (*epoch, measured.score()));
        let Some(epoch) = best_epoch(scores) else {
            // None can be read: the error of the best one.
            load_epoch(folder, config, best, compute)?;
            return Err(no_readable_query(&[]));
        };
        match load_epoch(folder, config, epoch, compute) {
            Ok(embedder) => return Ok((epoch, embedder)),
            Err(RunFolderError::NoCheckpoint { .. }) if epoch != best => {}
            Err(error) => {
                tracing::warn!("{error}; the next best epoch that has a checkpoint is used")
            }
        }
        candidates.retain(|(other, _)| *other != epoch);
    }
}

/// Reports the start of the training loop, and its end even if the loop panics.
struct LoopEvents<'a>(&'a dyn TrainingObserver);

impl<'a> LoopEvents<'a> {
    fn start(observer: &'a dyn TrainingObserver) -> Self {
        observer.event(TrainingEvent::LoopStarted);
        Self(observer)
    }
}

impl Drop for LoopEvents<'_> {
    fn drop(&mut self) {
        self.0.event(TrainingEvent::LoopEnded);
    }
}
