//! What a training reports while it runs.

use super::run_folder::{EpochRecord, RunFolder, RunRecord};
use crate::progress::ProgressObserver;

/// How a training is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Burn's dashboard in the terminal.
    Dashboard,
    /// No dashboard; the observer displays progress.
    Lines,
}

/// An event of a training.
#[derive(Debug)]
pub enum TrainingEvent<'a> {
    /// The run folder was created, or opened to resume.
    Started {
        /// The run folder.
        folder: &'a RunFolder,
        /// The record of the run.
        record: &'a RunRecord,
        /// The epoch of the checkpoint that training resumes from; 0 if the run was interrupted in its
        /// first epoch. `None` for a new run.
        resumed: Option<usize>,
    },
    /// The training loop begins. The dashboard, if any, controls the terminal from here on.
    LoopStarted,
    /// An epoch was recorded; epoch 0 is the untrained network.
    EpochRecorded {
        /// Its record.
        record: &'a EpochRecord,
        /// Configured epochs.
        epochs: usize,
    },
    /// The training loop has ended, and the dashboard with it.
    LoopEnded,
    /// Images that could not be read were skipped.
    ImagesSkipped {
        /// The cause for each image.
        causes: &'a [String],
    },
}

/// Receives the events and the progress of a training, from several threads.
pub trait TrainingObserver: ProgressObserver {
    /// An event.
    fn event(&self, event: TrainingEvent<'_>);
}

impl TrainingObserver for crate::progress::NoProgress {
    fn event(&self, _: TrainingEvent<'_>) {}
}
