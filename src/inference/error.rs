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
    /// A head cannot embed images, or an embedder of images features.
    #[error("{}", needed_input(source_name, *takes_features))]
    Input {
        /// The run or exported embedder.
        source_name: String,
        /// Whether it takes features.
        takes_features: bool,
    },
    /// The rows of a file are not the features that a head takes.
    #[error("the rows of {} have {found} numbers, and {}", path.display(), needed_features(*expected))]
    Features {
        /// The file.
        path: PathBuf,
        /// The length of its rows.
        found: usize,
        /// The length of the head's features; `None` if the network takes images.
        expected: Option<usize>,
    },
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

/// What to pass to a network that was given the other kind of input.
fn needed_input(network: &str, takes_features: bool) -> String {
    match takes_features {
        true => format!(
            "{network} is a head on features of another model, and cannot embed images; pass a file of such features \
             instead (embed --embeddings FILE)"
        ),
        false => format!(
            "{network} embeds images, and cannot embed features; pass images instead (embed --images DIR)"
        ),
    }
}

fn needed_features(expected: Option<usize>) -> String {
    match expected {
        Some(dim) => format!(
            "the head takes {dim}; compute the features with the model that it was trained on"
        ),
        None => "the network takes images; pass images".to_string(),
    }
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
