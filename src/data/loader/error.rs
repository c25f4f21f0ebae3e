//! Why a loader ended its batches early.

use thiserror::Error;

use crate::data::image_file::ImageError;

/// Why a loader ended its batches early, or loaded too few images.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoaderError {
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No image of a class can be read.
    #[error(
        "no image of class {class} can be read; replace its images or remove the class (last error: \
         {last})"
    )]
    ClassBroken {
        /// The class.
        class: String,
        /// The error of the last image tried.
        last: String,
    },
    /// Skipped images leave no query to evaluate.
    #[error(
        "no query has a readable gallery image of its class; repair the {skipped} skipped image(s) (last \
         error: {last})"
    )]
    NoReadableQuery {
        /// Number of skipped images.
        skipped: usize,
        /// The error of the last one.
        last: String,
    },
}
