//! Where a training runs, and its result.

use std::sync::Arc;

use burn::tensor::backend::Backend;

use super::observer::TrainingObserver;
use super::run_folder::RunFolder;
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::evaluation::Recall;

/// Where a training runs, who observes it and what stops it.
pub struct RunContext<'a, B: Backend> {
    /// The backend and device.
    pub compute: &'a ComputeContext<B>,
    /// Receives events and progress, and displays them.
    pub observer: Arc<dyn TrainingObserver>,
    /// Stops the training after the current step.
    pub cancellation: &'a CancellationToken,
}

/// The result of a training.
#[derive(Debug, Clone)]
pub struct TrainingSummary {
    /// The run folder.
    pub folder: RunFolder,
    /// Recall of the untrained network.
    pub untrained: Recall,
    /// The epoch with the best Recall@1, and its recall.
    pub best: (usize, Recall),
}
