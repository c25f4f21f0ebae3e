//! Why a training did not end as configured.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Divergence, RunFolderError};
use crate::config::ConfigError;
use crate::data::{DataError, DatasetError, FeatureError};
use crate::model::weights::{DownloadError, WeightsError};
use crate::setting::SettingError;

/// Why a training, or the measurement of a run, failed.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The images are invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The images of a run that is resumed are not where they were.
    #[error("{0}; if the data were moved, pass their new location with --root")]
    ImagesMoved(DataError),
    /// The pretrained weights are invalid.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The run folder is invalid, or cannot be written.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The training diverged. The last checkpoint is from before.
    #[error(
        "training diverged at epoch {epoch}{}: {cause}; resume from the last checkpoint with a smaller \
         learning rate: loop-dml train --resume --run {} --set optimizer.learning_rate={}",
        step.map(|step| format!(", step {step}")).unwrap_or_default(), run.display(), smaller(*learning_rate)
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1; `None` if it was noticed at the end of the epoch.
        step: Option<usize>,
        /// What diverged.
        cause: Divergence,
        /// The learning rate before any decay.
        learning_rate: f64,
        /// The run.
        run: PathBuf,
    },
    /// The embeddings of a checkpoint's network are infinite or NaN.
    #[error(
        "the network's embeddings are infinite or NaN; use another checkpoint or other weights"
    )]
    BrokenNetwork,
    /// The working directory cannot be determined.
    #[error("cannot find the working directory: {0}")]
    WorkingDirectory(std::io::Error),
    /// Processes that train together differ.
    #[error("{process}: {message}")]
    Processes {
        /// The process and its machine.
        process: String,
        /// What differs, and what to do.
        message: String,
    },
    /// A thread panicked, for example because the device has no memory left.
    #[error(
        "training stopped by an internal error: {message}; resume from the last checkpoint with: loop-dml \
         train --resume --run {}", run.display()
    )]
    Panicked {
        /// The text of the panic.
        message: String,
        /// The run.
        run: PathBuf,
    },
    /// The training was interrupted by Ctrl-C, a signal or the dashboard.
    #[error("interrupted")]
    Cancelled {
        /// The run that can be resumed; `None` if no run folder was created.
        run: Option<PathBuf>,
    },
}

impl From<SettingError> for TrainingError {
    fn from(error: SettingError) -> Self {
        Self::Config(error.into())
    }
}

impl TrainingError {
    /// Names the run that can be resumed, if the work was interrupted.
    pub(super) fn in_run(self, run: &Path) -> Self {
        match self {
            Self::Cancelled { .. }
            | Self::Data(DataError::Cancelled)
            | Self::Weights(WeightsError::Published(DownloadError::Cancelled)) => Self::Cancelled {
                run: Some(run.to_path_buf()),
            },
            Self::Data(
                error @ DataError::Dataset(
                    DatasetError::RootMissing { .. }
                    | DatasetError::Features(
                        FeatureError::Missing(_) | FeatureError::MissingSplit { .. },
                    ),
                ),
            ) => Self::ImagesMoved(error),
            other => other,
        }
    }
}

impl TrainingError {
    /// Names `path` as the run that can be resumed, instead of the private folder of a process other than process 0.
    pub fn of_run(mut self, path: &Path) -> Self {
        match &mut self {
            Self::Diverged { run, .. } | Self::Panicked { run, .. } => *run = path.to_path_buf(),
            Self::Cancelled { run } => *run = run.is_some().then(|| path.to_path_buf()),
            _ => {}
        }
        self
    }
}

/// A learning rate to try after one that diverged.
fn smaller(learning_rate: f64) -> String {
    format!("{:e}", (learning_rate / 10.0).min(1e-3))
}
