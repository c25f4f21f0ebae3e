//! Why a dataset cannot be opened.

use std::path::PathBuf;

use thiserror::Error;

use super::feature_error::FeatureError;
use super::folder_error::FolderError;
use super::idx::IdxError;
use super::list_error::ListError;
use crate::data::image_cache::CacheError;
use crate::data::image_file::ImageError;
use crate::data::list_line::ListLine;
use crate::data::parallel::Cancelled;
use crate::data::split::{SplitError, in_prose};
use crate::setting::SettingError;

/// Why a dataset cannot be opened, or an error in it.
///
/// Causes are kept as text, so that the error can be cloned and sent between threads.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DatasetError {
    /// A configuration key has a value that this dataset cannot use.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The root of the dataset does not exist.
    #[error("data.root {} is not a folder; {hint}", root.display())]
    RootMissing {
        /// The root as configured.
        root: PathBuf,
        /// Where to get the dataset, or what the root must contain.
        hint: &'static str,
    },
    /// The folders of a dataset are not arranged as expected.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A list, or a file that it names, cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// An IDX file cannot be used.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// The files of features cannot be used.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// An image file cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image cache differs from its images.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The classes or queries of a split cannot be used.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A split of a benchmark differs from the published one.
    #[error(
        "the {} split {found}, the published one {published}; {hint}",
        in_prose(split)
    )]
    NotPublished {
        /// `train` or `test`.
        split: &'static str,
        /// What was found, with a verb.
        found: String,
        /// What was published.
        published: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A folder or list without an image to embed.
    #[error(
        "{} contains no image{}; give a folder with images in it or below, or a \
         list of images", path.display(), readable(*skipped)
    )]
    NoImages {
        /// The folder or list.
        path: PathBuf,
        /// Number of images that were left out because they cannot be read.
        skipped: usize,
    },
    /// An error at a line of a list.
    #[error("{line}: {source}")]
    Listed {
        /// The line.
        line: ListLine,
        /// The error.
        source: Box<DatasetError>,
    },
    /// The first of several errors.
    #[error("{first}; and {more} more problem(s), which `loop-dml data check` lists")]
    Several {
        /// The first.
        first: Box<DatasetError>,
        /// Number of further errors.
        more: usize,
    },
    /// The work was cancelled.
    #[error("interrupted")]
    Cancelled,
}

impl DatasetError {
    /// Returns the error with the line that it comes from.
    pub(crate) fn with_line(self, line: &ListLine) -> Self {
        Self::Listed {
            line: line.clone(),
            source: Box::new(self),
        }
    }

    /// Returns the error without the line that it comes from.
    pub(in crate::data) fn without_line(&self) -> &Self {
        match self {
            Self::Listed { source, .. } => source.without_line(),
            other => other,
        }
    }

    /// Returns whether the dataset can be used in spite of it.
    pub(in crate::data) fn is_warning(&self) -> bool {
        matches!(
            self.without_line(),
            Self::List(ListError::Unlisted { .. })
                | Self::Folder(
                    FolderError::RootIsSplit { .. }
                        | FolderError::UnusedFolder { .. }
                        | FolderError::UnusedImage { .. },
                )
                | Self::Split(
                    SplitError::SimilarClasses { .. }
                        | SplitError::SingleImageClass { .. }
                        | SplitError::UnmatchedQuery { .. },
                )
                | Self::Cache(CacheError::Damaged { .. } | CacheError::NotCompared)
        )
    }

    /// Returns whether the images cannot be divided into splits, so that the numbers of classes and images
    /// in a split mean nothing.
    pub(in crate::data) fn prevents_splits(&self) -> bool {
        matches!(
            self.without_line(),
            Self::Folder(
                FolderError::MissingSplit { .. }
                    | FolderError::SplitNames { .. }
                    | FolderError::WrongRoot { .. }
                    | FolderError::NoClassFolders { .. }
            ) | Self::Split(SplitError::TooFewClasses { .. })
        )
    }

    /// Returns the error as the first of `1 + more`.
    pub(super) fn and_more(self, more: usize) -> Self {
        match more {
            0 => self,
            more => Self::Several {
                first: Box::new(self),
                more,
            },
        }
    }
}

impl From<Cancelled> for DatasetError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

fn readable(skipped: usize) -> String {
    match skipped {
        0 => String::new(),
        count => format!(" that can be read ({count} cannot)"),
    }
}
