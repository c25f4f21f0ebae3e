//! Errors of the whole module.

use thiserror::Error;

use super::datasets::DatasetError;
use super::image_cache::CacheError;
use super::loader::LoaderError;
use super::split::SplitError;
use super::survey::SheetPathError;
use crate::cancellation::Cancelled;
use crate::setting::SettingError;

/// Why images cannot be opened or loaded.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DataError {
    /// A configuration key has a value that cannot be used with these images.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The dataset's lists, folders or files are invalid.
    #[error(transparent)]
    Dataset(DatasetError),
    /// The classes or queries of a split are too few.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The image cache cannot be built or opened.
    #[error(transparent)]
    Cache(CacheError),
    /// A loader ended early.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A contact sheet cannot be written.
    #[error(transparent)]
    Sheet(#[from] SheetPathError),
    /// The work was cancelled.
    #[error("interrupted")]
    Cancelled,
}

impl From<Cancelled> for DataError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<DatasetError> for DataError {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::Cancelled => Self::Cancelled,
            DatasetError::Setting(error) => Self::Setting(error),
            DatasetError::Split(error) => Self::Split(error),
            error => Self::Dataset(error),
        }
    }
}

impl From<CacheError> for DataError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Cancelled => Self::Cancelled,
            error => Self::Cache(error),
        }
    }
}
