//! The errors of files of embeddings.

use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;
use crate::loss::{MAXIMUM_BATCH, pairwise_gib};

/// A file of embeddings cannot be read or written.
#[derive(Debug, Error)]
pub enum EmbeddingFileError {
    /// The file cannot be read.
    #[error("cannot read embeddings from {}: {source}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The file has another format.
    #[error(
        "{} is not a safetensors file of embeddings: {reason}; it needs `embeddings` f32 [N, D] and \
         `labels` i64 [N]",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The difference from the format.
        reason: String,
    },
    /// A row has an infinite value or NaN.
    #[error(
        "row {row} of {} has an infinite value or NaN; remove the row, or embed the image again",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
    },
    /// The rows are not a batch.
    #[error("row {row} of {} {reason}", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The mistake, and how to fix it.
        reason: String,
    },
    /// The file has more rows than a batch whose loss is computed.
    #[error(
        "{} has {rows} rows, but a batch has at most {MAXIMUM_BATCH}: the pairwise matrices of {rows} rows \
         take about {} GiB; pass fewer rows, or measure retrieval with loop-dml evaluate --embeddings",
        path.display(), pairwise_gib(*rows)
    )]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// The number of rows.
        rows: usize,
    },
    /// The name of an output file has an unknown extension.
    #[error(
        "the extension of {} does not name a known format; use .safetensors or .npy",
        path.display()
    )]
    Extension {
        /// The output file.
        path: PathBuf,
    },
    /// An output file cannot be written.
    #[error(transparent)]
    Output(#[from] AtomicFileError),
}
