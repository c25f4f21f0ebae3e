//! A training from its configuration to its last checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};
use burn_train::metric::LearningRateMetric;
use burn_train::{Learner, SupervisedTraining};

use super::epoch_log::EpochLog;
use super::failure::TrainingFailure;
use super::measure::{measure, network, nothing_measured, split_loader};
use super::metric_learner::{MetricLearner, Objective};
use super::metrics::{AnchorLossMetric, RecallMetric, Statistic, StatisticMetric};
use super::noop_renderer::NoopRenderer;
use super::observer::{Display, TrainingEvent, TrainingObserver};
use super::run_folder::{EpochRecord, RunFolder, RunRecord, SplitSummary};
use super::validation::{Protocol, Validation};
use super::{
    CheckpointRecorder, CheckpointRetention, EarlyStopping, GroupedAdam, StepDecay,
    TrainStepSchedule, TrainingError,
};
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::data::{
    self, DataError, EpochSchedule, LoaderErrors, PairSampler, Splits, TrainLoader, Transform,
};
use crate::evaluation::Recall;
use crate::model::Embedder;

/// Where a training runs, who watches it and what may stop it.
pub struct RunContext<'a, B: Backend> {
    /// The backend and device.
    pub compute: &'a ComputeContext<B>,
    /// How the training is displayed.
    pub display: Display,
    /// Receives events and progress.
    pub observer: Arc<dyn TrainingObserver>,
    /// Stops the training after the step under way.
    pub cancellation: &'a CancellationToken,
}

/// What a training came to.
#[derive(Debug, Clone)]
pub struct TrainingSummary {
    /// The run's folder.
    pub folder: RunFolder,
    /// Recall of the untrained network.
    pub untrained: Recall,
    /// The epoch with the best Recall@1, and its recall.
    pub best: (usize, Recall),
}

/// Trains a new run: in `run` if given, else in the next free folder `artifacts/NAME-N`.
///
/// # Errors
///
/// When the configuration, the images, the weights or the run folder are at fault (nothing is
/// written then), or the training was stopped.
pub fn train<B: AutodiffBackend>(
    config: &Config,
    run: Option<&Path>,
    name: &str,
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let RunContext {
        compute,
        cancellation,
        ..
    } = *context;
    let device = &compute.device;
    config.check()?;
    let config = &config
        .clone()
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    if let Some(run) = run {
        RunFolder::check_free(run)?;
    }
    // A missing network is told before minutes go into the images.
    let network =
        network(config, compute).with_located_weights(cancellation, &*context.observer)?;
    let (splits, sampler) = open_data(config, context)?;

    let embedder: Embedder<B> = network.init_pretrained(device)?;
    let record = RunRecord {
        loop_dml: env!("CARGO_PKG_VERSION").to_string(),
        burn: burn_version(),
        backend: format!("{} {device:?}", B::name(device)),
        threads: compute.in_process.then(rayon::current_num_threads),
        seed: config.training.seed,
        parameters: embedder.num_params(),
        train: SplitSummary::of(&splits.train),
        test: SplitSummary::of(&splits.test),
        coverage: Some(sampler.coverage(1)),
    };

    let since = Instant::now();
    let (untrained, _) = measure(
        &embedder.valid(),
        config,
        &splits.test,
        device.inner(),
        cancellation,
        &*context.observer,
    )?;
    let folder = RunFolder::create(run, name, config, &record)?;
    let untrained = EpochRecord {
        epoch: 0,
        training: Default::default(),
        recall: Some(untrained),
        seconds: since.elapsed().as_secs_f64(),
    };
    folder.append(&untrained)?;
    report_start(&folder, &record, &splits, None, context);
    context.observer.event(TrainingEvent::EpochRecorded {
        record: &untrained,
        epochs: config.training.epochs,
    });
    let training_loop = TrainingLoop {
        config,
        folder,
        embedder,
        splits,
        sampler,
        resumed: None,
    };
    training_loop.run(context)
}

/// The epochs after which the test split is measured, from `first_epoch` on.
pub(super) fn schedule(config: &Config, first_epoch: usize) -> EpochSchedule {
    EpochSchedule::Every {
        interval: config.training.validate_every,
        first_epoch,
        last_epoch: config.training.epochs,
    }
}

/// Both splits and the sampler of the training batches.
pub(super) fn open_data<B: Backend>(
    config: &Config,
    context: &RunContext<B>,
) -> Result<(Splits, PairSampler), TrainingError> {
    let transform = Transform::new(&config.data.transform)?;
    let observer = &*context.observer;
    let splits = data::open(&config.data, &transform, context.cancellation, observer)?;
    let sampler = PairSampler::new(splits.train.labels(), &config.batch, config.training.seed)?;
    Ok((splits, sampler))
}

/// All that Burn's Learner is given.
pub(super) struct TrainingLoop<'a, B: AutodiffBackend> {
    pub(super) config: &'a Config,
    pub(super) folder: RunFolder,
    pub(super) embedder: Embedder<B>,
    pub(super) splits: Splits,
    pub(super) sampler: PairSampler,
    /// The epoch of the checkpoint to go on from.
    pub(super) resumed: Option<usize>,
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
            display,
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
        let schedule = schedule(config, first_epoch);
        let protocol = Protocol::new(&config.evaluation, &splits.test);
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
                folder
                    .checkpoints()
                    .into_iter()
                    .filter(|&epoch| epoch < first_epoch),
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
        if display == Display::Observer {
            training = training.renderer(NoopRenderer);
        }

        let learner = MetricLearner::new(
            embedder,
            Objective::new(config),
            TrainStepSchedule::new(config),
            validation.clone(),
        );
        let optimizer = GroupedAdam::new(&config.optimizer, device);
        observer.event(TrainingEvent::LoopStarted);
        let result = training.launch(Learner::new(learner, optimizer, rate));
        // Closes the dashboard, so that what follows is read.
        drop(result);
        observer.event(TrainingEvent::LoopEnded);
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
        let recall = |epoch| validation.recall(epoch);
        let best = validation.best_epoch();
        let best = best.and_then(|epoch| Some((epoch, recall(epoch)?)));
        match (recall(0), best) {
            (Some(untrained), Some(best)) => Ok(TrainingSummary {
                folder,
                untrained,
                best,
            }),
            // All images were skipped that could be read when the run began.
            _ => Err(nothing_measured(&skipped)),
        }
    }
}

/// Reports what is trained, on what, and what is odd about it.
pub(super) fn report_start<B: Backend>(
    folder: &RunFolder,
    record: &RunRecord,
    splits: &Splits,
    resumed: Option<usize>,
    context: &RunContext<B>,
) {
    for warning in &splits.warnings {
        tracing::warn!("{warning}");
    }
    for split in [&splits.train, &splits.test] {
        let causes: Vec<String> = split.left_out().iter().map(ToString::to_string).collect();
        if !causes.is_empty() {
            let causes = &causes;
            context
                .observer
                .event(TrainingEvent::ImagesSkipped { causes });
        }
    }
    context.observer.event(TrainingEvent::Started {
        folder,
        record,
        resumed,
    });
}

/// Burn's version, from the lock file that this program was built with.
fn burn_version() -> String {
    let lock: toml::Table = toml::from_str(include_str!("../../Cargo.lock")).unwrap_or_default();
    lock.get("package")
        .and_then(|packages| packages.as_array())
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(|name| name.as_str()) == Some("burn"))
        .and_then(|package| package.get("version")?.as_str().map(String::from))
        .unwrap_or_else(|| "unknown".to_string())
}
