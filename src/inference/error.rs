//! The errors of inference.

use std::path::PathBuf;

use thiserror::Error;

use super::export::ExportError;
#[cfg(feature = "index")]
use super::index_error::IndexError;
use super::retrieval_error::RetrievalError;
use super::search_error::SearchError;
use crate::atomic_file::AtomicFileError;
use crate::cancellation::Cancelled;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::embedding_file::EmbeddingFileError;
use crate::model::weights::WeightsError;
use crate::setting::SettingError;
use crate::training::{RunFolderError, TrainingError};

/// Images cannot be embedded, embeddings cannot be measured, or an embedder cannot be exported.
#[derive(Debug, Error)]
pub enum InferenceError {
    /// The run, its configuration or its weights are invalid.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The images are invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of embeddings is invalid or cannot be written.
    #[error(transparent)]
    EmbeddingFile(#[from] EmbeddingFileError),
    /// An exported embedder is invalid or cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Queries and gallery do not match.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// The inputs of a search do not fit together.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// An index cannot be built or used.
    #[cfg(feature = "index")]
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The output file cannot be written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// An embedding is infinite or NaN.
    #[error(
        "the network's embeddings are infinite or NaN; use another checkpoint or other weights"
    )]
    BrokenNetwork,
    /// The loss of embeddings from a file is infinite or NaN.
    #[error(
        "the loss of {} is infinite or NaN: its embeddings, or a number of the loss, are too large \
         for single precision; scale them down",
        embeddings.display()
    )]
    LossNotFinite {
        /// The file.
        embeddings: PathBuf,
    },
    /// The work was cancelled.
    #[error("interrupted")]
    Cancelled,
    /// The run or file does not exist.
    #[error(
        "{} does not exist; pass the folder of a run, or a file written by `loop-dml export`",
        path.display()
    )]
    NoSource {
        /// The path.
        path: PathBuf,
    },
    /// A checkpoint was chosen for an exported embedder.
    #[error(
        "{} is an exported embedder, which has only one checkpoint; omit --checkpoint",
        path.display()
    )]
    CheckpointOfFile {
        /// The file.
        path: PathBuf,
    },
}

impl From<Cancelled> for InferenceError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Lets `?` convert errors that are also errors of training.
macro_rules! convert {
    ($($from:ty),* $(,)?) => {
        $(impl From<$from> for InferenceError {
            fn from(error: $from) -> Self {
                TrainingError::from(error).into()
            }
        })*
    };
}

convert!(ConfigError, SettingError, WeightsError, RunFolderError);
