//! What can be wrong with the lists of a dataset and the files that they name.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A list, a line of a list, or a listed file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// A file of the dataset does not exist.
    #[error("{} is missing; {hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Where to get it.
        hint: &'static str,
    },
    /// A list or folder cannot be read.
    #[error("cannot read {}: {reason}; check that it exists and its permissions", path.display())]
    Unreadable {
        /// The list or folder.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// A whole list has the wrong format or contents.
    #[error("{} {reason}", path.display())]
    Invalid {
        /// The list.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// A line has the wrong format or contents.
    #[error("{reason}")]
    Row {
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// An image is listed twice.
    #[error("{name} is listed twice, first on line {first}; remove one of the two")]
    ListedTwice {
        /// The image as listed.
        name: String,
        /// The first line that names it.
        first: usize,
    },
    /// A listed image does not exist.
    #[error("image {} is missing; {}", path.display(), missing_hint(near.as_deref()))]
    ImageMissing {
        /// The image.
        path: PathBuf,
        /// A file with nearly the same name, how its name differs, and what to do about it.
        near: Option<String>,
    },
    /// An image exists but is not listed.
    #[error("image {} is not in any list, so it is never used; check whether it was renamed", path.display())]
    Unlisted {
        /// The image.
        path: PathBuf,
    },
    /// Two files have the same bytes.
    #[error("{} is a copy of {}{relation}", path.display(), first.display())]
    Duplicate {
        /// The later file.
        path: PathBuf,
        /// The first file with these bytes.
        first: PathBuf,
        /// How their classes and splits are related, and what to do about it.
        relation: &'static str,
    },
}

impl ListError {
    /// The error of a list or folder that cannot be read.
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        }
    }

    /// The error of a list with the wrong format or contents.
    pub(super) fn invalid(path: &Path, reason: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// The error of a line with the wrong format or contents.
    pub(super) fn row(reason: impl Into<String>) -> Self {
        Self::Row {
            reason: reason.into(),
        }
    }
}

fn missing_hint(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean {near}"),
        None => "restore it from the archive, or remove it from the list".into(),
    }
}
