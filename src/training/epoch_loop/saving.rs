//! Saving the state of a training, after a check that it is finite.

use burn::tensor::backend::AutodiffBackend;

use super::{EpochLoop, Running};
use crate::config::TrainingConfig;
use crate::training::TrainingError;
use crate::training::checkpoint::{
    CheckpointFile, CheckpointHeader, CheckpointPosition, CheckpointSchedule,
};
use crate::training::diverged::DivergedStep;
use crate::training::divergence::Divergence;
use crate::training::finite::check_finite;

impl<B: AutodiffBackend> Running<B> {
    /// Saves a checkpoint after `step` steps of `epoch`, of which the next one failed.
    pub(super) fn save_before(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        match step {
            0 if epoch > 1 => self.save(CheckpointPosition::end_of(epoch - 1)),
            0 => Ok(()),
            _ => self.save_within(epoch, step),
        }
    }

    /// Saves a checkpoint within `epoch`, after `step` steps.
    pub(super) fn save_within(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        if let Some(finished) = self.epochs.pending.flush() {
            self.add_step(epoch, &finished)?;
        }
        self.check_finite(epoch)?;
        self.save(CheckpointPosition::within(epoch, step))
    }

    /// Saves a checkpoint and deletes those that it supersedes, unless there is one of this position.
    pub(super) fn save(&mut self, position: CheckpointPosition) -> Result<(), TrainingError> {
        if self.saved == Some(position) {
            return Ok(());
        }
        let EpochLoop {
            config,
            folder,
            validation,
            optimizer,
            statistics,
            history,
            ..
        } = &self.epochs;
        let mut header = CheckpointHeader::new(position, self.pinned.clone());
        header.statistics = (position.steps() > 0).then(|| statistics.clone());
        header.history = Some(history.value());
        let embedder = self.learner.model().embedder;
        folder.save(&CheckpointFile::from_state(header, &embedder, optimizer))?;
        self.saved = Some(position);
        self.save_schedule.saved();
        let EpochLoop {
            loader_errors,
            observer,
            ..
        } = &self.epochs;
        self.skipped.record(loader_errors, folder, &**observer)?;
        let TrainingConfig {
            keep_checkpoints,
            checkpoint_every,
            ..
        } = config.training;
        let is_scheduled = |epoch| {
            let measured = validation.measured(epoch).is_some();
            CheckpointSchedule::is_scheduled(checkpoint_every, epoch, measured)
        };
        let saved = folder.checkpoints();
        let best = validation.best_epoch_of(|epoch| saved.contains(&epoch));
        Ok(folder.prune(position, keep_checkpoints, best, is_scheduled)?)
    }

    pub(super) fn check_finite(&self, epoch: usize) -> Result<(), TrainingError> {
        let checked = check_finite(&self.learner.model().embedder, &self.epochs.optimizer);
        checked.map_err(|cause| {
            if let Some(last) = &self.last_step {
                self.record_diverged(&DivergedStep {
                    epoch,
                    step: last.step,
                    cause: cause.clone(),
                    statistics: last.statistics,
                    images: &last.images,
                    embeddings: &[],
                });
            }
            self.diverged(epoch, None, cause)
        })
    }

    pub(super) fn diverged(
        &self,
        epoch: usize,
        step: Option<usize>,
        cause: Divergence,
    ) -> TrainingError {
        let EpochLoop { folder, config, .. } = &self.epochs;
        TrainingError::Diverged {
            epoch,
            step,
            cause,
            learning_rate: config.optimizer.learning_rate,
            run: folder.path().to_path_buf(),
        }
    }

    /// Writes a step that diverged into the run folder, for inspection.
    pub(super) fn record_diverged(&self, step: &DivergedStep<'_>) {
        let EpochLoop { folder, split, .. } = &self.epochs;
        match step.write(folder, split) {
            Ok(path) => tracing::warn!("the step is recorded in {}", path.display()),
            Err(error) => tracing::warn!("the step could not be recorded: {error}"),
        }
    }
}
