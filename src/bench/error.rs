//! The errors of benchmarks.

use std::path::PathBuf;

use thiserror::Error;

use crate::cancellation::Cancelled;
use crate::data::DataError;
use crate::inference::InferenceError;
use crate::setting::SettingError;

/// A benchmark failed.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The images to load are invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A transform is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Images to load cannot be written.
    #[error("cannot write images to {}: {source}; check its permissions and free space", folder.display())]
    Images {
        /// The folder.
        folder: PathBuf,
        /// The encoder's message.
        source: image::ImageError,
    },
    /// The embeddings cannot be measured.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The benchmark was cancelled.
    #[error("interrupted")]
    Cancelled,
}

impl From<Cancelled> for BenchError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
