//! Resuming a run from its last checkpoint.

mod checks;
mod last_state;

use burn::tensor::backend::AutodiffBackend;
pub(super) use checks::{check_epochs, check_splits, end_reason, refuse_changes};
use checks::{check_record, warn_about_differences};
use last_state::shared_last_state;
pub(super) use last_state::{describe_resumption, last_state};

use super::TrainingError;
use super::checkpoint::CheckpointPosition;
use super::distributed::{
    PrivateFolder, check_group, check_same_run, check_same_schedule, receive_files, send_files,
    share_state,
};
use super::features::standardized;
use super::network::{RestoredState, embedder_config};
use super::preflight::{
    Checks, DiskNeed, LargeK, check_configuration, check_precision, checkpoint_bytes, names,
};
use super::resumable_keys::changes;
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{EpochRecord, RunFolder, SplitSummaries};
use super::tensorboard;
use super::train::{open_data, report_start};
use super::training_loop::TrainingLoop;
use crate::progress::Monitor;

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
    let folder = folder.locked()?;
    send_files(&context.group, &folder)?;
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
    let folder = receive_files(&context.group, &private)?;
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
    let restored = shared_last_state(&folder, &config, &history, context)?;
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
        None => {
            let embedder = match context.group.is_main() {
                true => network.init_pretrained(device)?.module,
                // Received from process 0.
                false => network.init(device),
            };
            RestoredState::untrained(embedder, &config, device)
        }
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
    let monitor = Monitor::new(context.cancellation, &*context.observer);
    let summaries = SplitSummaries::new(&splits, monitor)?;
    check_same_run(&context.group, &config, &summaries)?;
    if is_new {
        state = share_state(&context.group, &config, state)?;
    }
    let missing = check_splits(&folder, &record, &summaries, &config)?;
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
