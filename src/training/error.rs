//! Why a training did not end as configured.

use std::path::PathBuf;

use thiserror::Error;

use super::RunFolderError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::model::weights::WeightsError;
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
    /// The pretrained weights are invalid.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The run folder is invalid, or cannot be written.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The loss or an embedding became infinite or NaN.
    #[error(
        "the loss or an embedding became infinite or NaN at epoch {epoch}, step {step}; try a \
         smaller optimizer.learning_rate, or loss.reduction = \"mean\""
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
    },
    /// The embeddings of a checkpoint's network are infinite or NaN.
    #[error(
        "the network's embeddings are infinite or NaN; use another checkpoint or other weights"
    )]
    BrokenNetwork,
    /// The working directory cannot be determined.
    #[error("cannot find the working directory: {0}")]
    WorkingDirectory(std::io::Error),
    /// Burn stopped the training, for example because it could not write a checkpoint.
    #[error("training stopped: {0}")]
    Stopped(String),
    /// The user pressed Ctrl-C or quit the dashboard.
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
