//! Why images cannot be embedded, embeddings measured, or an embedder exported.

use std::path::PathBuf;

use thiserror::Error;

use super::embedding_file::EmbeddingFileError;
use super::export::ExportError;
use crate::atomic_file::AtomicFileError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::model::weights::WeightsError;
use crate::setting::SettingError;
use crate::training::{RunFolderError, TrainingError};

/// Why an embedding, a measurement or an export failed.
#[derive(Debug, Error)]
pub enum InferenceError {
    /// The run, its configuration or its weights are invalid.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The images are invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of embeddings is invalid.
    #[error(transparent)]
    EmbeddingFile(#[from] EmbeddingFileError),
    /// An exported embedder is invalid.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The output file cannot be written.
    #[error(transparent)]
    File(#[from] AtomicFileError),
    /// The network gives embeddings that are infinite or NaN.
    #[error(
        "the network gives embeddings that are infinite or NaN; choose an earlier checkpoint with \
             --checkpoint, or other weights"
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
    /// There is neither a run nor a file.
    #[error(
        "there is no {}: give the folder of a run, or a file that `loop-dml export` wrote",
        path.display()
    )]
    NoSource {
        /// What was given.
        path: PathBuf,
    },
    /// A checkpoint was chosen of a file, which holds one.
    #[error("{} is an exported embedder, which holds one checkpoint: leave out --checkpoint", path.display())]
    CheckpointOfFile {
        /// The file.
        path: PathBuf,
    },
    /// Queries and gallery are one file.
    #[error(
        "{} is both --embeddings and --gallery, so that every row would find itself: leave out \
         --gallery, then a row is not looked for in itself",
        path.display()
    )]
    OwnGallery {
        /// The file.
        path: PathBuf,
    },
    /// Queries and gallery have embeddings of different length.
    #[error(
        "embeddings of {} are {queries} numbers long, those of {} {gallery}: embed both with one \
         network",
        path.display(), gallery_path.display()
    )]
    OtherLength {
        /// The file of the queries.
        path: PathBuf,
        /// Their length.
        queries: usize,
        /// The file of the gallery.
        gallery_path: PathBuf,
        /// Its embeddings' length.
        gallery: usize,
    },
    /// No row could find anything.
    #[error(
        "no row of {} has a label that another row{} has, so that nothing could be found: give \
         images of a class the same label",
        path.display(), in_gallery(gallery)
    )]
    NoQuery {
        /// The file of the queries.
        path: PathBuf,
        /// The file of the gallery, if it is another.
        gallery: Option<PathBuf>,
    },
}

fn in_gallery(gallery: &Option<PathBuf>) -> String {
    match gallery {
        Some(path) => format!(" of {}", path.display()),
        None => String::new(),
    }
}

/// Lets `?` convert the errors that a training has in common with inference.
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
