//! Where a training runs, and its result.

use std::sync::Arc;

use burn::tensor::backend::Backend;

use super::TrainingError;
use super::measured::Measured;
use super::observer::TrainingObserver;
use super::run_folder::{EpochRecord, RunFolder, RunFolderError, RunResult};
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::distribution::ProcessGroup;

/// Where a training runs, who observes it and what stops it.
pub struct RunContext<'a, B: Backend> {
    /// The backend and device.
    pub compute: &'a ComputeContext<B>,
    /// Receives events and progress, and displays them.
    pub observer: Arc<dyn TrainingObserver>,
    /// Stops the training after the current step.
    pub cancellation: &'a CancellationToken,
    /// The processes that train together. Every process calls the same function with the same arguments; only process
    /// 0 writes the run folder.
    pub group: ProcessGroup,
}

/// The result of a training.
#[derive(Debug, Clone)]
pub struct TrainingSummary {
    /// The run folder.
    pub folder: RunFolder,
    /// Measures of the untrained network, on the split that chooses the best epoch.
    pub untrained: Measured,
    /// The best epoch and its recall.
    pub result: RunResult,
    /// Whether the run was finished before, so that nothing was trained.
    pub was_finished: bool,
}

impl TrainingSummary {
    /// The summary of a finished run with these epochs.
    pub(super) fn finished(
        folder: RunFolder,
        history: &[EpochRecord],
        result: RunResult,
        was_finished: bool,
    ) -> Result<Self, TrainingError> {
        let untrained = history.first().and_then(EpochRecord::measured);
        let untrained = untrained.ok_or_else(|| RunFolderError::Damaged {
            path: folder.path().join("metrics.jsonl"),
            message: "it does not contain epoch 0".to_string(),
        })?;
        Ok(Self {
            folder,
            untrained,
            result,
            was_finished,
        })
    }
}
