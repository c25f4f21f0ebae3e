//! What a training reports while it runs.

use std::path::Path;

use super::checkpoint::CheckpointPosition;
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
    /// The folder of a new run was created. Preparations follow, which may take minutes.
    FolderCreated {
        /// The folder.
        path: &'a Path,
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
    /// The training loop begins. The dashboard, if any, controls the terminal from here on.
    LoopStarted,
    /// An epoch was recorded; epoch 0 is the untrained network.
    EpochRecorded {
        /// Its record.
        record: &'a EpochRecord,
        /// Configured epochs.
        epochs: usize,
        /// Number of images that the epoch trained on.
        images: usize,
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
