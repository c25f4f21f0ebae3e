//! Why an index of a gallery cannot be built or used.

use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;

/// An index cannot be built or used.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The index was built from another gallery.
    #[error(
        "{} is the index of another gallery than {}; remove it and {} to build it again, or name another file",
        path.display(), gallery.display(), description.display()
    )]
    OtherGallery {
        /// The index.
        path: PathBuf,
        /// The description beside it.
        description: PathBuf,
        /// The gallery that is searched.
        gallery: PathBuf,
    },
    /// The index cannot be read.
    #[error("cannot read the index {}: {reason}; remove it and {} to build it again", path.display(), description.display())]
    Unreadable {
        /// The index.
        path: PathBuf,
        /// The description beside it.
        description: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The index cannot be built.
    #[error("cannot build the index {}: {reason}", path.display())]
    Build {
        /// The index.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The index cannot be written.
    #[error(transparent)]
    Output(#[from] AtomicFileError),
}
