//! Resuming a run from its last checkpoint.

use burn::tensor::backend::{AutodiffBackend, Backend};

use super::checkpoint::CheckpointPosition;
use super::distributed::{
    PrivateFolder, check_group, check_same_run, check_same_schedule, share_files, share_state,
};
use super::epoch_statistics::EpochStatistics;
use super::features::standardized;
use super::network::{RestoredState, embedder_config, restore};
use super::preflight::{
    Checks, DiskNeed, LargeK, check_configuration, check_precision, checkpoint_bytes, names,
};
use super::resumable_keys::{RESUMABLE, changes, first_difference, pinned};
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{
    ConfigChange, EndReason, EpochRecord, RunFolder, RunFolderError, RunRecord, SplitSummary,
};
use super::selection::{best_epoch, should_stop};
use super::tensorboard;
use super::train::{burn_version, open_data, report_start, threads};
use super::training_loop::TrainingLoop;
use super::{GroupedAdam, TrainingError};
use crate::config::Config;
use crate::data::config::BrokenImages;
use crate::data::{DataError, Split, Splits};
use crate::distribution::ProcessGroup;
use crate::progress::Monitor;
use crate::setting::SettingError;

/// Resumes a run from its last checkpoint, up to the configured epochs or those in `overrides`
/// (`training.epochs=N`). The result equals that of the uninterrupted run. A run that is finished is not
/// changed. Nothing in the folder is changed before everything that can fail was checked.
///
/// # Errors
///
/// If another process trains in the folder, every checkpoint is damaged, a checkpoint is of another run,
/// the images are not those of the run, `overrides` change keys that cannot change, or
/// [`train()`](super::train()) would fail.
pub fn resume<B: AutodiffBackend>(
    folder: RunFolder,
    overrides: &[String],
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let path = folder.path().to_path_buf();
    let folder = share_files(&context.group, Some(folder.locked()?), None)?;
    resume_locked(folder, overrides, context).map_err(|error| error.in_run(&path))
}

/// Resumes a run as process 0 does with [`resume`], in another process of its group: receives the run from process 0,
/// and writes nothing into its folder.
///
/// # Errors
///
/// As [`resume`].
pub fn resume_with_main<B: AutodiffBackend>(
    overrides: &[String],
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let private = PrivateFolder::create()?;
    let folder = share_files(&context.group, None, Some(&private))?;
    resume_locked(folder, overrides, context)
}

fn resume_locked<B: AutodiffBackend>(
    folder: RunFolder,
    overrides: &[String],
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let before = folder.config(&[])?;
    let config = folder
        .config(overrides)?
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    config.check()?;
    refuse_changes(&folder, &changes(&before, &config, 0), overrides)?;
    let mut record = folder.record()?;
    check_record(&folder, &record, &config)?;
    let history = folder.history()?;
    check_same_schedule(&context.group, &config)?;
    // Nothing is read of a finished run, whose last checkpoints may have been removed.
    if let Some(result) = folder.result()?
        && result.epochs + 1 == history.len()
        && config.training.epochs >= result.epochs
        && end_reason(&config, &history).is_some()
    {
        return TrainingSummary::finished(folder, &history, result, true);
    }
    let restored = match context.group.is_single() {
        true => last_state(&folder, &config, &history, context)?,
        false => shared_last_state(&folder, &config, &history, context)?,
    };
    let position = restored
        .as_ref()
        .map_or(CheckpointPosition::end_of(0), |state| state.position);
    let changes = changes(&before, &config, position.complete_epochs());
    let history: Vec<EpochRecord> = history
        .into_iter()
        .filter(|record| record.epoch <= position.complete_epochs())
        .collect();
    check_epochs(&config, position)?;
    // A run that was interrupted before its result was written has nothing to train.
    let ended = match position.steps() {
        0 => end_reason(&config, &history),
        _ => None,
    };

    let mut checks = Checks::default();
    check_configuration(&mut checks, &config);
    check_precision(&mut checks, &config, context.compute)?;
    let message = format!("{} can be written", folder.path().display());
    checks.passed(names::RUN_FOLDER, message);
    checks.passed(names::CHECKPOINT, describe_resumption(position));
    let mut network = embedder_config(&config, context.compute);
    // A run without a checkpoint begins again from the seed and the pretrained weights.
    if restored.is_none() && context.group.is_main() {
        network = network.with_located_weights(context.cancellation, &*context.observer)?;
    }
    let device = &context.compute.device;
    let is_new = restored.is_none();
    let mut state = match restored {
        Some(state) => state,
        None => RestoredState {
            position,
            embedder: match context.group.is_main() {
                true => network.init_pretrained(device)?.module,
                // Received from process 0.
                false => network.init(device),
            },
            optimizer: GroupedAdam::new(&config.optimizer, device),
            statistics: EpochStatistics::default(),
            history: None,
        },
    };
    let need = DiskNeed {
        folder: folder.path().to_path_buf(),
        checkpoint: match context.group.is_main() {
            true => checkpoint_bytes(&state.embedder, &config),
            // Not written.
            false => 0,
        },
        keep: config.training.keep_checkpoints as u64,
        events: tensorboard::expected_bytes(&config),
        existing: folder.checkpoint_bytes_on_disk(),
        caches: None,
    };
    let (splits, sampler) = open_data(&config, None, need, LargeK::LeftOut, &mut checks, context)?;
    if is_new {
        state.embedder = standardized(state.embedder, &splits.train);
    }
    check_group(context, &config, sampler.batch_len())?;
    check_same_data(&context.group, &config, &record, &splits, context)?;
    if is_new {
        state = share_state(&context.group, &config, state, device)?;
    }
    let monitor = Monitor::new(context.cancellation, &*context.observer);
    let missing = check_splits(&folder, &record, &splits, &config, monitor)?;
    warn_about_differences(&record, context);

    record.changes.extend(changes);
    let epoch = position.complete_epochs();
    record
        .changes
        .extend(record.other_processes(context.group.size(), epoch));
    let skipped = splits.train.skipped().iter().cloned().chain(missing);
    for cause in skipped {
        if !record.skipped.contains(&cause) {
            record.skipped.push(cause);
        }
    }
    folder.remove_partial_files()?;
    if record != folder.record()? {
        folder.write_record(&record)?;
    }
    if config != before {
        folder.write_config(&config)?;
    }
    folder.replace_history(&history)?;
    folder.remove_result()?;
    report_start(&folder, &record, &splits, &checks, Some(position), context);
    let training_loop = TrainingLoop {
        config: &config,
        folder,
        state,
        ended,
        splits,
        sampler,
        unrecorded: None,
    };
    training_loop.run(context)
}

/// Finds the last state in process 0, and sends it to the other processes.
fn shared_last_state<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    history: &[EpochRecord],
    context: &RunContext<B>,
) -> Result<Option<RestoredState<B>>, TrainingError> {
    let group = &context.group;
    let own = match group.is_main() {
        true => last_state(folder, config, history, context)?,
        false => None,
    };
    if !group.any(own.is_some()) {
        return Ok(None);
    }
    let device = &context.compute.device;
    let own = own.unwrap_or_else(|| RestoredState {
        position: CheckpointPosition::end_of(0),
        embedder: embedder_config(config, context.compute).init(device),
        optimizer: GroupedAdam::new(&config.optimizer, device),
        statistics: EpochStatistics::default(),
        history: None,
    });
    share_state(group, config, own, device).map(Some)
}

/// Checks that the configuration and the data are those of process 0.
fn check_same_data<B: AutodiffBackend>(
    group: &ProcessGroup,
    config: &Config,
    record: &RunRecord,
    splits: &Splits,
    context: &RunContext<B>,
) -> Result<(), TrainingError> {
    if group.is_single() {
        return Ok(());
    }
    let monitor = Monitor::new(context.cancellation, &*context.observer);
    let summary = |split| SplitSummary::new(split, monitor).map_err(DataError::from);
    let own = RunRecord {
        train: summary(&splits.train)?,
        validation: splits.validation.as_ref().map(summary).transpose()?,
        test: summary(&splits.test)?,
        ..record.clone()
    };
    check_same_run(group, config, &own)
}

/// The position that a run is resumed from.
pub(super) fn describe_resumption(position: CheckpointPosition) -> String {
    match position == CheckpointPosition::end_of(0) {
        true => "resumes before the first epoch".to_string(),
        false => format!("resumes after {position}"),
    }
}

/// The state of the last position with a readable checkpoint; `None` if there is no checkpoint yet.
///
/// # Errors
///
/// If there are checkpoints and all are damaged, or if one is of another run.
pub(super) fn last_state<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    history: &[EpochRecord],
    context: &RunContext<B>,
) -> Result<Option<RestoredState<B>>, RunFolderError> {
    let mut damage = None;
    for stored in folder.stored_checkpoints().into_iter().rev() {
        let position = stored.position();
        if position.complete_epochs() >= history.len() {
            damage = damage.or_else(|| {
                Some(RunFolderError::Damaged {
                    path: folder.checkpoint_path(stored),
                    message: format!(
                        "it belongs to {position}, and metrics.jsonl ends with epoch {}",
                        history.len().saturating_sub(1)
                    ),
                })
            });
            continue;
        }
        match restore(folder, config, stored, context.compute) {
            Ok(state) if !state.follows(history) => {
                damage = damage.or_else(|| {
                    Some(RunFolderError::Damaged {
                        path: folder.checkpoint_path(stored),
                        message: "its epochs are not those in metrics.jsonl".to_string(),
                    })
                });
            }
            Ok(state) => {
                if let Some(damage) = damage {
                    tracing::warn!("{damage}; the run resumes from {position}");
                }
                return Ok(Some(state));
            }
            Err(error @ (RunFolderError::Damaged { .. } | RunFolderError::File { .. })) => {
                damage = damage.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = damage {
        let advice = "no other checkpoint can be read; restore one, or start a new run";
        return Err(error.with_advice(advice));
    }
    // The first epoch that is measured is saved before the next one is trained.
    let measured = history.iter().filter(|record| record.recall.is_some());
    if measured.filter(|record| record.epoch > 0).count() > 1 {
        return Err(RunFolderError::Damaged {
            path: folder.checkpoint_folder(),
            message: "the run's checkpoints are missing; restore them, or start a new run".into(),
        });
    }
    Ok(None)
}

/// Checks that the record was written for the configuration.
///
/// # Errors
///
/// If it is of another run.
fn check_record(
    folder: &RunFolder,
    record: &RunRecord,
    config: &Config,
) -> Result<(), RunFolderError> {
    let Some(recorded) = &record.config else {
        return Ok(());
    };
    let path = folder.record_path();
    match first_difference(recorded, &pinned(config)) {
        Ok(None) => Ok(()),
        Ok(Some((key, found, expected))) => Err(RunFolderError::Foreign {
            path,
            key,
            found: found.to_string(),
            expected: expected.to_string(),
        }),
        Err(source) => Err(RunFolderError::Config { path, source }),
    }
}

pub(super) fn refuse_changes(
    folder: &RunFolder,
    changes: &[ConfigChange],
    overrides: &[String],
) -> Result<(), TrainingError> {
    let refused = || {
        let mut changes = changes.iter();
        std::iter::from_fn(move || changes.next())
            .filter(|change| !RESUMABLE.contains(&change.key.as_str()))
    };
    // Another choice, such as `loss.name`, changes other keys too.
    let given = |change: &&ConfigChange| {
        let key = |text: &String| text.split('=').next().unwrap_or_default().trim() == change.key;
        overrides.iter().any(key)
    };
    match refused().find(given).or_else(|| refused().next()) {
        None => Ok(()),
        Some(change) => Err(RunFolderError::KeyNotResumable {
            path: folder.path().to_path_buf(),
            key: change.key.clone(),
            allowed: &RESUMABLE,
        }
        .into()),
    }
}

/// Why no epoch is left after these epochs: all are trained, or the training stopped early. `None` if there
/// are epochs left.
pub(super) fn end_reason(config: &Config, history: &[EpochRecord]) -> Option<EndReason> {
    let last = history.last().filter(|last| last.epoch > 0)?;
    let measured = history
        .iter()
        .filter(|record| record.epoch > 0)
        .filter_map(|record| Some((record.epoch, record.recall.as_ref()?.at_1())));
    let patience = config.training.early_stopping;
    if last.recall.is_some() && should_stop(last.epoch, best_epoch(measured), patience) {
        return Some(EndReason::EarlyStopping);
    }
    (last.epoch >= config.training.epochs).then_some(EndReason::Epochs)
}

/// Checks that no more epochs were trained than are configured.
///
/// # Errors
///
/// If fewer are configured.
pub(super) fn check_epochs(
    config: &Config,
    position: CheckpointPosition,
) -> Result<(), SettingError> {
    let begun = position.complete_epochs() + usize::from(position.steps() > 0);
    if config.training.epochs >= begun {
        return Ok(());
    }
    Err(SettingError::value(
        "training.epochs",
        config.training.epochs as i64,
        format!("the run has trained {begun} epochs; give {begun} or more"),
    ))
}

/// Checks that the splits are those of the run. Returns what is missing, if `data.broken_images` is
/// `skip`.
pub(super) fn check_splits(
    folder: &RunFolder,
    record: &RunRecord,
    splits: &Splits,
    config: &Config,
    monitor: Monitor<'_>,
) -> Result<Vec<String>, TrainingError> {
    let mut missing = Vec::new();
    let skip = config.data.loading.broken_images == BrokenImages::Skip;
    let mut check = |name, recorded: &SplitSummary, found: &Split| {
        let found = SplitSummary::new(found, monitor).map_err(DataError::from)?;
        match recorded.missing_images(&found) {
            Some(count) if skip => {
                let message = format!(
                    "{count} {name} image(s) are missing since the run began, and are skipped"
                );
                tracing::warn!("{message}");
                missing.push(message);
            }
            _ => folder.check_split(name, recorded, &found)?,
        }
        Ok::<_, TrainingError>(())
    };
    check("training", &record.train, &splits.train)?;
    if let (Some(recorded), Some(found)) = (&record.validation, &splits.validation) {
        check("validation", recorded, found)?;
    }
    check("test", &record.test, &splits.test)?;
    Ok(missing)
}

/// Warns if a version, the backend or the number of threads differs from when the run began.
fn warn_about_differences<B: Backend>(record: &RunRecord, context: &RunContext<B>) {
    let compute = context.compute;
    let own = env!("CARGO_PKG_VERSION").to_string();
    for (what, before, now) in [
        ("the version of loop-dml", &record.loop_dml, own),
        ("the version of Burn", &record.burn, burn_version()),
        ("the backend", &record.backend, compute.name()),
    ] {
        if *before != now {
            tracing::warn!("{what} changed ({before} → {now}): results will not be bit-identical");
        }
    }
    if let (Some(before), Some(now)) = (record.threads, threads(compute))
        && before != now
    {
        tracing::warn!(
            "thread count changed ({before} → {now}): results will not be bit-identical; set \
             RAYON_NUM_THREADS={before} to keep them"
        );
    }
}
