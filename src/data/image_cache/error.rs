//! Why an image cache cannot be built or opened.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::data::image_file::ImageError;
use crate::data::parallel::Cancelled;

/// Why an image cache cannot be built or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CacheError {
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The cache cannot be read.
    #[error("cannot read the image cache {}: {reason}; check its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// The cache cannot be written.
    #[error(
        "cannot write the image cache {}: {reason}; free space there, choose another folder with \
         data.cache_dir, or set data.cache to false",
        path.display()
    )]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// The pixels of an image are not those that were cached.
    #[error(
        "{} is not the image in the cache {}, although its size and time are the same; delete the cache, and \
         the next training builds it again",
        image.display(), cache.display()
    )]
    Stale {
        /// The image.
        image: PathBuf,
        /// The file of the cache.
        cache: PathBuf,
    },
    /// The file of a cache was cut or changed.
    #[error(
        "the image cache {} is damaged ({reason}); the next training builds it again",
        path.display()
    )]
    Damaged {
        /// The file of the cache.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Caches cannot be compared with images that cannot be opened.
    #[error(
        "the image caches were not compared, because training refuses the dataset; fix its errors"
    )]
    NotCompared,
    /// The work was cancelled.
    #[error("interrupted")]
    Cancelled,
}

impl CacheError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        }
    }

    pub(super) fn unwritable(path: &Path, error: &io::Error) -> Self {
        Self::Unwritable {
            path: path.into(),
            reason: error.to_string(),
        }
    }
}

impl From<Cancelled> for CacheError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
