//! Checks that a run can be resumed: its files, the configuration and the images belong together.

use burn::tensor::backend::Backend;

use crate::config::Config;
use crate::data::config::BrokenImages;
use crate::setting::SettingError;
use crate::training::checkpoint::CheckpointPosition;
use crate::training::resumable_keys::{RESUMABLE, first_difference, pinned};
use crate::training::run_folder::{
    ConfigChange, EndReason, EpochRecord, RunFolder, RunFolderError, RunRecord, SplitSummaries,
    SplitSummary,
};
use crate::training::selection::{best_epoch, should_stop};
use crate::training::train::{burn_version, threads};
use crate::training::{RunContext, TrainingError};

/// Checks that the record was written for the configuration.
///
/// # Errors
///
/// If it is of another run.
pub(super) fn check_record(
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

/// Checks that only keys that may change when a run is resumed have changed.
///
/// # Errors
///
/// The first other key; one of `overrides` before the keys that it changes with it.
pub(in crate::training) fn refuse_changes(
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
pub(in crate::training) fn end_reason(
    config: &Config,
    history: &[EpochRecord],
) -> Option<EndReason> {
    let last = history.last().filter(|last| last.epoch > 0)?;
    let measured = history
        .iter()
        .filter(|record| record.epoch > 0)
        .filter_map(|record| Some((record.epoch, record.measured()?.score())));
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
pub(in crate::training) fn check_epochs(
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

/// Checks that the splits `found` are those of the run. Returns what is missing, if `data.broken_images` is
/// `skip`.
///
/// # Errors
///
/// If the images or classes of a split differ.
pub(in crate::training) fn check_splits(
    folder: &RunFolder,
    record: &RunRecord,
    found: &SplitSummaries,
    config: &Config,
) -> Result<Vec<String>, RunFolderError> {
    let mut missing = Vec::new();
    let skip = config.data.loading.broken_images == BrokenImages::Skip;
    let mut check = |name, recorded: &SplitSummary, found: &SplitSummary| match recorded
        .missing_images(found)
    {
        Some(count) if skip => {
            let message =
                format!("{count} {name} image(s) are missing since the run began, and are skipped");
            tracing::warn!("{message}");
            missing.push(message);
            Ok(())
        }
        _ => folder.check_split(name, recorded, found),
    };
    check("training", &record.train, &found.train)?;
    if let (Some(recorded), Some(found)) = (&record.validation, &found.validation) {
        check("validation", recorded, found)?;
    }
    check("test", &record.test, &found.test)?;
    Ok(missing)
}

/// Warns if a version, the backend or the number of threads differs from when the run began.
pub(super) fn warn_about_differences<B: Backend>(record: &RunRecord, context: &RunContext<B>) {
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
