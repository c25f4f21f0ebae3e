//! The one error of the library, and the exit status that each kind of mistake gets.

use std::path::PathBuf;

use thiserror::Error;

use crate::backend::CudaError;
use crate::config::ConfigError;
use crate::data::{DataError, EmbeddingFileError};
use crate::embedding::EmbeddingError;
use crate::model::pretrained::PublishedWeightsError;
use crate::model::{ExportError, WeightsError};
use crate::new_file::NewFileError;
use crate::training::RunFolderError;

/// What can end a command.
#[derive(Debug, Error)]
pub enum Error {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The images are at fault.
    #[error(transparent)]
    Data(DataError),
    /// A file of embeddings is at fault.
    #[error(transparent)]
    EmbeddingFile(#[from] EmbeddingFileError),
    /// A new file cannot be made.
    #[error(transparent)]
    NewFile(#[from] NewFileError),
    /// What is to be embedded with, or measured, is at fault.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// An exported embedder is at fault.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Embeddings from a file are too large for the loss.
    #[error(
        "the loss of {} is infinite or not a number: its embeddings, or a number of the loss, are \
         too large for single precision; scale them down",
        embeddings.display()
    )]
    LossNotFinite {
        /// The file.
        embeddings: PathBuf,
    },
    /// The pretrained weights are at fault.
    #[error(transparent)]
    Weights(WeightsError),
    /// The run folder is at fault.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The chosen backend is not in this binary.
    #[error(
        "this binary was built without the backend {asked} (it has {built}); build it with \
         --features {asked}"
    )]
    NoBackend {
        /// The backend asked for.
        asked: &'static str,
        /// The backends compiled in.
        built: String,
    },
    /// Fusion was asked for where there is none.
    #[error(
        "--fusion is not available on {backend} in this binary: it needs a GPU backend and a binary \
         built with --features fusion"
    )]
    NoFusion {
        /// The backend asked for.
        backend: &'static str,
    },
    /// The backend's device is not there or does not work.
    #[error(
        "{backend} cannot use its device {index} on this machine ({reason}); choose another with --device or --backend"
    )]
    NoDevice {
        /// The backend.
        backend: &'static str,
        /// The number of the device.
        index: usize,
        /// What the driver said.
        reason: String,
    },
    /// CUDA cannot start.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// The user's settings of the kernel cache are malformed.
    #[error("{} is not a valid configuration of CubeCL: {reason}", path.display())]
    KernelSettings {
        /// The file, `cubecl.toml` or `burn.toml`.
        path: PathBuf,
        /// The mistake.
        reason: String,
    },
    /// The network's output became infinite or not a number.
    #[error(
        "the loss or an embedding became infinite or not a number at epoch {epoch}, step {step}; \
         try a smaller optimizer.learning_rate, or loss.reduction = \"mean\""
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
    },
    /// A network that was read from a file gives nothing that could be measured.
    #[error(
        "the network gives embeddings that are infinite or not a number; take an earlier \
         checkpoint with --checkpoint, or other weights"
    )]
    BrokenNetwork,
    /// The person at the terminal, or the system, asked to stop.
    #[error("interrupted{}", resume_hint(run))]
    Interrupted {
        /// The run that can be resumed, if it got as far as a checkpoint.
        run: Option<PathBuf>,
    },
    /// Something on this machine failed that is nobody's mistake, such as a full disk.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Burn could not write a checkpoint.
    #[error("the training stopped: {0}")]
    Stopped(String),
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Interrupted => Self::Interrupted { run: None },
            error => Self::Data(error),
        }
    }
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Self {
        match error {
            WeightsError::Published(PublishedWeightsError::Interrupted) => {
                Self::Interrupted { run: None }
            }
            error => Self::Weights(error),
        }
    }
}

impl Error {
    /// 2 where the user's input is at fault, 130 for an interruption, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::RunFolder(RunFolderError::File { doing: "write", .. }) => 1,
            Self::NewFile(NewFileError::Unwritable { .. })
            | Self::Export(ExportError::NewFile(NewFileError::Unwritable { .. })) => 1,
            Self::Data(DataError::CacheUnwritable { .. }) => 1,
            Self::Weights(WeightsError::Published(error)) if !error.is_users() => 1,
            Self::Cuda(error) if error.is_machines() => 1,
            Self::Config(_)
            | Self::Data(_)
            | Self::EmbeddingFile(_)
            | Self::NewFile(_)
            | Self::Embedding(_)
            | Self::Export(_)
            | Self::LossNotFinite { .. }
            | Self::Weights(_)
            | Self::RunFolder(_)
            | Self::NoBackend { .. }
            | Self::NoFusion { .. }
            | Self::NoDevice { .. }
            | Self::Cuda(_)
            | Self::KernelSettings { .. } => 2,
            Self::Interrupted { .. } => 130,
            Self::NotFinite { .. } | Self::BrokenNetwork | Self::Io { .. } | Self::Stopped(_) => 1,
        }
    }
}

fn resume_hint(run: &Option<PathBuf>) -> String {
    match run {
        Some(run) => format!(
            "; go on with: loop-dml train --resume --run {}",
            run.display()
        ),
        None => String::new(),
    }
}
