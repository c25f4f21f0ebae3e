//! What a training reports while it runs.

use std::path::Path;

use burn_train::renderer::MetricsRenderer;

use super::checkpoint::CheckpointPosition;
use super::preflight::Check;
use super::run_folder::{EpochRecord, RunFolder, RunRecord};
use crate::cancellation::CancellationToken;
use crate::progress::ProgressObserver;

/// An event of a training.
#[derive(Debug)]
pub enum TrainingEvent<'a> {
    /// The folder of a new run was created. Preparations follow, which may take minutes.
    FolderCreated {
        /// The folder.
        path: &'a Path,
    },
    /// The checks before the training were made.
    Checked {
        /// Their results. None has failed.
        checks: &'a [Check],
    },
    /// Everything that can fail has been checked, and the training begins.
    Started {
        /// The run folder.
        folder: &'a RunFolder,
        /// The record of the run.
        record: &'a RunRecord,
        /// The position that training resumes from; `None` for a new run.
        resumed: Option<CheckpointPosition>,
    },
    /// The training loop begins. Its renderer, if any, controls the terminal from here on.
    LoopStarted,
    /// An epoch was recorded; epoch 0 is the untrained network.
    EpochRecorded {
        /// Its record.
        record: &'a EpochRecord,
        /// Configured epochs.
        epochs: usize,
    },
    /// The training loop has ended, and its renderer with it.
    LoopEnded,
    /// Images that could not be read were skipped.
    ImagesSkipped {
        /// The cause for each image.
        causes: &'a [String],
    },
}

/// What a renderer of a training may use.
#[derive(Clone)]
pub struct RendererContext {
    /// Stops the training after the current step.
    pub cancellation: CancellationToken,
    /// The epoch of the checkpoint that training resumes from, if any.
    pub resumed: Option<usize>,
    /// Configured epochs.
    pub epochs: usize,
}

/// Receives the events and the progress of a training, from several threads.
pub trait TrainingObserver: ProgressObserver {
    /// An event.
    fn event(&self, event: TrainingEvent<'_>);

    /// Returns a renderer for the metrics of every step, such as a dashboard, when the training loop begins.
    ///
    /// A renderer that panics is dropped, and the training continues without it. If the message of the
    /// panic contains `from user input`, as that of Burn's dashboard does, the training is cancelled.
    fn renderer(&self, _: RendererContext) -> Option<Box<dyn MetricsRenderer>> {
        None
    }
}

impl TrainingObserver for crate::progress::NoProgress {
    fn event(&self, _: TrainingEvent<'_>) {}
}
