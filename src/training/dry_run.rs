//! Dry runs: all checks before a training, and an estimate from some of its steps, without the training.

mod progress;
mod remaining_work;

use std::fmt::Display;
use std::path::Path;

use burn::tensor::backend::AutodiffBackend;
use serde::Serialize;

use progress::Progress;
use remaining_work::RemainingWork;

use super::checkpoint::CheckpointPosition;
use super::features::open_features;
use super::network::{RestoredState, embedder_config};
use super::preflight::{
    Check, CheckOutcome, Checks, DiskNeed, check_configuration, check_weights, names,
};
use super::resumable_keys::changes;
use super::resume::{check_epochs, describe_resumption, end_reason, last_state, refuse_changes};
use super::run_folder::{EpochRecord, RunFolder, RunRecord};
use super::{RunContext, TrainingError};
use crate::config::Config;
use crate::model::weights::Loaded;
use crate::model::{Embedder, EmbedderConfig};

/// The result of a dry run.
#[derive(Debug, Clone, Default)]
pub struct DryRun {
    /// The checks that could be made. A check that needs what a failed one checks is not among them.
    pub checks: Vec<Check>,
    /// What the training needs.
    pub estimate: Estimate,
}

/// What a training needs. A value is `None` if a check that it needs has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Seconds of an epoch, with its share of the evaluations; without the time that ranking takes.
    pub seconds_per_epoch: Option<f64>,
    /// Seconds of all epochs that remain, and of the evaluations before and after them.
    pub seconds: Option<f64>,
    /// Peak memory of the process in bytes, up to the first steps. `None` also if the operating system does
    /// not report it, and if the device has separate memory.
    pub memory_bytes: Option<u64>,
    /// Bytes that checkpoints and image caches will take on disk, besides those that exist.
    pub disk_bytes: Option<u64>,
}

impl DryRun {
    /// The result if the training cannot be checked because of `error` in the check `name`.
    pub fn refused(name: &'static str, error: &dyn Display) -> Self {
        let mut checks = Checks::default();
        checks.failed(name, error);
        Self {
            checks: checks.into_vec(),
            estimate: Estimate::default(),
        }
    }

    /// Adds the check of the folder of a new run.
    pub fn with_run_folder(mut self, run: Option<&Path>, name: &str) -> Self {
        let mut checks = Checks::default();
        match RunFolder::check_new(run, name) {
            Ok(folder) => checks.passed(names::RUN_FOLDER, describe_free(&folder)),
            Err(error) => checks.failed(names::RUN_FOLDER, error),
        }
        self.checks.extend(checks.into_vec());
        self
    }

    /// Whether no check failed.
    pub fn is_ok(&self) -> bool {
        let mut checks = self.checks.iter();
        checks.all(|check| check.outcome != CheckOutcome::Failed)
    }
}

/// Makes the checks of [`train()`](super::train()) with these arguments, and takes training steps for an
/// estimate. Creates no file but in the user's cache folder: published weights are downloaded, and the lock of
/// an image cache that exists is taken.
///
/// # Errors
/// If it is cancelled, or the working directory cannot be determined. Failed checks are in the result.
pub fn dry_run<B: AutodiffBackend>(
    config: &Config,
    run: Option<&Path>,
    name: &str,
    context: &RunContext<B>,
) -> Result<DryRun, TrainingError> {
    let config = config
        .clone()
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    let mut dry = Progress::new(context);
    let valid = dry.attempt(names::CONFIGURATION, config.check())?.is_some();
    if valid {
        check_configuration(&mut dry.checks, &config);
    }
    let folder = dry.attempt(names::RUN_FOLDER, RunFolder::check_new(run, name))?;
    if let Some(folder) = &folder {
        dry.checks.passed(names::RUN_FOLDER, describe_free(folder));
    }
    if !valid {
        return Ok(dry.end(Estimate::default()));
    }
    let features = open_features(&config, context);
    let Some(features) = dry.attempt(names::DATA, features)? else {
        return Ok(dry.end(Estimate::default()));
    };
    let (config, opened) = match features {
        Some((config, opened)) => (config, Some(opened)),
        None => (config, None),
    };
    let need = DiskNeed {
        folder: folder.or(run.map(Path::to_path_buf)).unwrap_or_default(),
        keep: config.training.keep_checkpoints as u64,
        ..DiskNeed::default()
    };
    let state = new_state(&mut dry, &config)?;
    let estimate = dry.finish(&config, state, opened, need, None)?;
    Ok(dry.end(estimate))
}

/// Makes the checks of [`resume()`](super::resume()) with these arguments, and takes training steps for an
/// estimate. Changes nothing in the folder.
///
/// # Errors
/// If it is cancelled, or the working directory cannot be determined. Failed checks are in the result.
pub fn dry_run_resume<B: AutodiffBackend>(
    path: &Path,
    overrides: &[String],
    context: &RunContext<B>,
) -> Result<DryRun, TrainingError> {
    let mut dry = Progress::new(context);
    let Some(folder) = dry.attempt(names::RUN_FOLDER, RunFolder::open(path))? else {
        return Ok(dry.end(Estimate::default()));
    };
    if dry
        .attempt(names::RUN_FOLDER, folder.check_available())?
        .is_some()
    {
        let message = format!("{} can be written", path.display());
        dry.checks.passed(names::RUN_FOLDER, message);
    }
    let config = resumed_config(&folder, overrides);
    let Some(config) = dry.attempt(names::CONFIGURATION, config)? else {
        return Ok(dry.end(Estimate::default()));
    };
    check_configuration(&mut dry.checks, &config);
    let resumable = Resumable::read(&folder, &config, context);
    let Some(resumable) = dry.attempt(names::CHECKPOINT, resumable)? else {
        return Ok(dry.end(Estimate::default()));
    };
    let Resumable {
        record,
        state,
        is_finished,
    } = resumable;
    if is_finished {
        dry.checks.passed(
            names::CHECKPOINT,
            "the run is finished and would not be changed; train more epochs with --set training.epochs=N",
        );
        return Ok(dry.end(Estimate {
            seconds: Some(0.0),
            disk_bytes: Some(0),
            ..Estimate::default()
        }));
    }
    let position = state
        .as_ref()
        .map_or(CheckpointPosition::end_of(0), |state| state.position);
    dry.checks
        .passed(names::CHECKPOINT, describe_resumption(position));
    let state = match state {
        Some(state) => Ok(state),
        None => new_state(&mut dry, &config)?,
    };
    let need = DiskNeed {
        folder: path.to_path_buf(),
        keep: config.training.keep_checkpoints as u64,
        existing: folder.checkpoint_bytes_on_disk(),
        ..DiskNeed::default()
    };
    let estimate = dry.finish(&config, state, None, need, Some((&folder, &record)))?;
    Ok(dry.end(estimate))
}

fn describe_free(folder: &Path) -> String {
    format!("{} is free and can be written", folder.display())
}

/// The configuration of a resumed run.
fn resumed_config(folder: &RunFolder, overrides: &[String]) -> Result<Config, TrainingError> {
    let before = folder.config(&[])?;
    let config = folder
        .config(overrides)?
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    config.check()?;
    refuse_changes(folder, &changes(&before, &config, 0), overrides)?;
    Ok(config)
}

/// What a run is resumed from.
struct Resumable<B: AutodiffBackend> {
    record: RunRecord,
    /// `None` if the run has no checkpoint yet.
    state: Option<RestoredState<B>>,
    is_finished: bool,
}

impl<B: AutodiffBackend> Resumable<B> {
    fn read(
        folder: &RunFolder,
        config: &Config,
        context: &RunContext<B>,
    ) -> Result<Self, TrainingError> {
        let record = folder.record()?;
        let mut history = folder.history()?;
        let state = last_state(folder, config, &history, context)?;
        let position = state
            .as_ref()
            .map_or(CheckpointPosition::end_of(0), |state| state.position);
        history.retain(|record: &EpochRecord| record.epoch <= position.complete_epochs());
        check_epochs(config, position)?;
        let is_finished = position.steps() == 0 && end_reason(config, &history).is_some();
        Ok(Self {
            record,
            state,
            is_finished: is_finished && folder.result()?.is_some(),
        })
    }
}

/// The state of a new training; if the weights cannot be read, the network with random weights, which has
/// checkpoints of the same size.
fn new_state<B: AutodiffBackend>(
    dry: &mut Progress<'_, B>,
    config: &Config,
) -> Result<Result<RestoredState<B>, Embedder<B>>, TrainingError> {
    let RunContext {
        compute,
        cancellation,
        ref observer,
        ..
    } = *dry.context;
    let device = &compute.device;
    let network = embedder_config(config, compute);
    let loaded = || -> Result<(EmbedderConfig, Loaded<Embedder<B>>), TrainingError> {
        let network = network
            .clone()
            .with_located_weights(cancellation, &**observer)?;
        let loaded = network.init_pretrained(device)?;
        Ok((network, loaded))
    };
    Ok(match dry.attempt(names::WEIGHTS, loaded())? {
        None => Err(network.init(device)),
        Some((network, loaded)) => {
            check_weights(&mut dry.checks, &network, &loaded);
            Ok(RestoredState::untrained(loaded.module, config, device))
        }
    })
}

#[cfg(test)]
mod tests;
