//! A training from its configuration to its last checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};
use burn_train::metric::LearningRateMetric;
use burn_train::{Learner, SupervisedTraining};

use super::epoch_log::{EpochLog, epoch_line};
use super::measuring::{measure, network, nothing_measured, split_loader};
use super::metrics::{AnchorLossMetric, RecallMetric, Statistic, StatisticMetric};
use super::notices::{announce, tell_skipped};
use super::run_folder::{EpochRecord, RunFolder, RunRecord, SplitSummary};
use super::silent::Silent;
use super::trainee::{Objective, Trainee};
use super::validation::{Protocol, Validation};
use super::{CheckpointRecorder, LastAndBest, Patience, Regime, StepDecay, Stop, TwoRateAdam};
use crate::backend::Place;
use crate::config::Config;
use crate::data::{self, LoadFailure, PairSampler, Schedule, Splits, TrainLoader, Transform};
use crate::error::Error;
use crate::evaluation::Recall;
use crate::model::Embedder;

/// How a training shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Burn's dashboard in the terminal.
    Dashboard,
    /// A line per epoch on standard error.
    Lines,
}

/// Where a training runs, how it shows itself and what may stop it.
pub struct Context<'a, B: Backend> {
    /// Where it computes.
    pub place: &'a Place<B>,
    /// How the training shows itself.
    pub display: Display,
    /// What may stop it.
    pub stop: &'a Stop,
}

/// What a training came to.
#[derive(Debug, Clone)]
pub struct Outcome {
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
    context: &Context<B>,
) -> Result<Outcome, Error> {
    let Context { place, stop, .. } = *context;
    let device = &place.device;
    config.check()?;
    let config = &config
        .clone()
        .with_absolute_root()
        .map_err(|source| Error::Io {
            doing: "cannot find the working directory".to_string(),
            source,
        })?;
    if let Some(run) = run {
        RunFolder::check_free(run)?;
    }
    // A missing network is told before minutes go into the images.
    let network = network(config, place).with_located_weights(&|| stop.requested())?;
    let (splits, sampler) = open_data(config, stop)?;

    let embedder: Embedder<B> = network.init_pretrained(device)?;
    let record = RunRecord {
        loop_dml: env!("CARGO_PKG_VERSION").to_string(),
        burn: burn_version(),
        backend: format!("{} {device:?}", B::name(device)),
        threads: place.in_process.then(rayon::current_num_threads),
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
        stop,
    )?;
    let folder = RunFolder::create(run, name, config, &record)?;
    let untrained = EpochRecord {
        epoch: 0,
        training: Default::default(),
        recall: Some(untrained),
        seconds: since.elapsed().as_secs_f64(),
    };
    folder.append(&untrained)?;
    announce(&folder, &record, &splits);
    eprintln!("{}", epoch_line(&untrained, config.training.epochs));
    let fit = Fit {
        config,
        folder,
        embedder,
        splits,
        sampler,
        resumed: None,
    };
    fit.run(context)
}

/// The epochs after which the test split is measured, from `first_epoch` on.
pub(super) fn schedule(config: &Config, first_epoch: usize) -> Schedule {
    Schedule::Every {
        interval: config.training.validate_every,
        first_epoch,
        last_epoch: config.training.epochs,
    }
}

/// Both splits and the sampler of the training batches.
pub(super) fn open_data(config: &Config, stop: &Stop) -> Result<(Splits, PairSampler), Error> {
    let transform = Transform::new(&config.data.transform)?;
    let splits = data::open(&config.data, &transform, &|| stop.requested())?;
    let sampler = PairSampler::new(splits.train.labels(), &config.batch, config.training.seed)?;
    Ok((splits, sampler))
}

/// All that Burn's Learner is given.
pub(super) struct Fit<'a, B: AutodiffBackend> {
    pub(super) config: &'a Config,
    pub(super) folder: RunFolder,
    pub(super) embedder: Embedder<B>,
    pub(super) splits: Splits,
    pub(super) sampler: PairSampler,
    /// The epoch of the checkpoint to go on from.
    pub(super) resumed: Option<usize>,
}

impl<B: AutodiffBackend> Fit<'_, B> {
    /// Trains from epoch `resumed + 1`, or 1, to the last.
    pub(super) fn run(self, context: &Context<B>) -> Result<Outcome, Error> {
        let Self {
            config,
            folder,
            embedder,
            splits,
            sampler,
            resumed,
        } = self;
        let Context {
            place,
            display,
            stop,
        } = *context;
        let device = &place.device;
        let epochs = config.training.epochs;
        let known = folder
            .history()?
            .into_iter()
            .filter_map(|record| Some((record.epoch, record.recall?)));
        let first_epoch = resumed.map_or(1, |epoch| epoch + 1);
        let schedule = schedule(config, first_epoch);
        let protocol = Protocol::new(&config.evaluation, &splits.test);
        let validation = Validation::new(protocol, schedule, known);
        let failure = load_failure(stop);
        let rate = StepDecay::new(&config.optimizer, sampler.batches_per_epoch());
        let train_loader = TrainLoader::<B>::new(
            Arc::new(splits.train),
            sampler,
            Transform::new(&config.data.transform)?,
            first_epoch..epochs + 1,
            &config.data.loading,
            failure.clone(),
            device,
        );
        let valid_loader = split_loader(
            config,
            splits.test,
            schedule,
            failure.clone(),
            device.inner(),
        )?;

        let mut training = SupervisedTraining::new(
            folder.path(),
            Arc::new(train_loader),
            Arc::new(valid_loader),
        )
        .metric_train_numeric(AnchorLossMetric::new(stop.clone()));
        for statistic in Statistic::all(config.loss.kind.init().measure()) {
            training = training.metric_train_numeric(StatisticMetric::new(statistic));
        }
        training = training
            .metric_train_numeric(LearningRateMetric::new())
            .with_metric_logger(EpochLog::new(
                folder.clone(),
                validation.clone(),
                stop.clone(),
                epochs,
                display == Display::Lines,
            ))
            .with_file_checkpointer(CheckpointRecorder::default())
            .with_checkpointing_strategy(LastAndBest::new(
                validation.clone(),
                stop.clone(),
                folder
                    .checkpoints()
                    .into_iter()
                    .filter(|&epoch| epoch < first_epoch),
            ))
            .with_interrupter(stop.interrupter())
            .with_application_logger(None)
            .num_epochs(epochs);
        for &k in &config.evaluation.recall {
            training = training.metric_valid_numeric(RecallMetric::new(k, validation.clone()));
        }
        if let Some(patience) = config.training.early_stopping {
            training = training.early_stopping(Patience::new(validation.clone(), patience));
        }
        if let Some(epoch) = resumed {
            training = training.checkpoint(epoch);
        }
        if display == Display::Lines {
            training = training.renderer(Silent);
        }

        let trainee = Trainee::new(
            embedder,
            Objective::new(config),
            Regime::new(config),
            validation.clone(),
        );
        let optimizer = TwoRateAdam::new(&config.optimizer, device);
        let result = training.launch(Learner::new(trainee, optimizer, rate));
        // Closes the dashboard, so that what follows is read.
        drop(result);
        tell_skipped(&failure.skipped());

        if let Some(error) = failure.take() {
            return Err(error.into());
        }
        if let Some(reason) = stop.take_reason() {
            return Err(match reason {
                Error::Interrupted { .. } => Error::Interrupted {
                    run: Some(folder.path().to_path_buf()),
                },
                other => other,
            });
        }
        let recall = |epoch| validation.recall(epoch);
        let best = validation.best_epoch();
        let best = best.and_then(|epoch| Some((epoch, recall(epoch)?)));
        match (recall(0), best) {
            (Some(untrained), Some(best)) => Ok(Outcome {
                folder,
                untrained,
                best,
            }),
            // All images were skipped that could be read when the run began.
            _ => Err(nothing_measured(&failure.skipped())),
        }
    }
}

/// The place where the loaders leave an image that cannot be read; it stops the training.
fn load_failure(stop: &Stop) -> LoadFailure {
    let interrupter = stop.interrupter();
    LoadFailure::with_callback(move |error| interrupter.stop(Some(&error.to_string())))
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
