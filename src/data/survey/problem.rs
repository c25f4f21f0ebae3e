//! A problem of a dataset: severity, kind and location.

use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::data::datasets::{DatasetError, FeatureError, FolderError, IdxError, ListError};
use crate::data::image_cache::CacheError;
use crate::data::image_file::ImageError;
use crate::data::split::SplitError;
use crate::escape::path_with_bytes;

/// The severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training refuses the dataset, or its results would be wrong.
    Error,
    /// Training works, but the problem should be reviewed.
    Warning,
}

impl Severity {
    /// Returns `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A problem of a dataset.
///
/// As JSON: `severity`, `kind`, `file` (the affected image, else the list), `list` and `line` if a list
/// names it, `class` if it is known, `message`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The severity.
    pub severity: Severity,
    /// The error.
    pub error: DatasetError,
    /// The affected class, if it is known.
    pub class: Option<String>,
}

impl Problem {
    /// Makes a problem with the default severity of the error.
    pub(super) fn new(error: impl Into<DatasetError>) -> Self {
        let error = error.into();
        let severity = match error.is_warning() {
            true => Severity::Warning,
            false => Severity::Error,
        };
        let class = match error.without_line() {
            DatasetError::Split(
                SplitError::TooFewImages { class, .. }
                | SplitError::ClassInBothSplits { class }
                | SplitError::SingleImageClass { class, .. }
                | SplitError::UnmatchedQuery { class, .. },
            ) => Some(class.clone()),
            _ => None,
        };
        Self {
            severity,
            error,
            class,
        }
    }

    /// Returns the kind in kebab case, for example `truncated`. Kinds are the same in every version.
    pub fn kind(&self) -> &'static str {
        error_kind(&self.error)
    }

    /// Returns the affected file or folder. This is the list if one of its lines cannot be used.
    pub fn file(&self) -> Option<&Path> {
        error_path(self.error.without_line()).or(self.line().map(|(list, _)| list))
    }

    /// Returns the list that names the affected image, and the line from 1.
    pub fn line(&self) -> Option<(&Path, usize)> {
        match &self.error {
            DatasetError::Listed { line, .. } => Some((&*line.list, line.number)),
            _ => None,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("kind", self.kind())?;
        map.serialize_entry("file", &self.file().map(path_with_bytes))?;
        let (list, line) = self.line().unzip();
        map.serialize_entry("list", &list.map(path_with_bytes))?;
        map.serialize_entry("line", &line)?;
        if let Some(class) = &self.class {
            map.serialize_entry("class", class)?;
        }
        map.serialize_entry("message", &self.error.to_string())?;
        map.end()
    }
}

/// Returns the file or folder of an error.
fn error_path(error: &DatasetError) -> Option<&Path> {
    match error {
        DatasetError::RootMissing { root: path, .. } => Some(path),
        DatasetError::Folder(
            FolderError::MissingSplit { root: path, .. }
            | FolderError::SplitNames { root: path, .. }
            | FolderError::WrongRoot { root: path, .. }
            | FolderError::NoClassFolders { root: path, .. }
            | FolderError::RootIsSplit { root: path, .. }
            | FolderError::UnusedFolder { path, .. }
            | FolderError::UnusedImage { path }
            | FolderError::NotUtf8 { path }
            | FolderError::EmptyClass { path }
            | FolderError::NestedFolder { path }
            | FolderError::StrayImage { path }
            | FolderError::NotAFile { path },
        ) => Some(path),
        DatasetError::Image(error) => image_error_path(error),
        DatasetError::List(
            ListError::Missing { path, .. }
            | ListError::Unreadable { path, .. }
            | ListError::Invalid { path, .. }
            | ListError::ImageMissing { path, .. }
            | ListError::Unlisted { path }
            | ListError::Duplicate { path, .. },
        ) => Some(path),
        DatasetError::Split(SplitError::UnmatchedQuery { path, .. })
        | DatasetError::Cache(
            CacheError::Stale { image: path, .. }
            | CacheError::Damaged { path, .. }
            | CacheError::Unreadable { path, .. }
            | CacheError::Unwritable { path, .. },
        ) => Some(path),
        DatasetError::Cache(CacheError::Image(error)) => image_error_path(error),
        DatasetError::Idx(
            IdxError::Missing { path, .. }
            | IdxError::Unreadable { path, .. }
            | IdxError::Truncated { path }
            | IdxError::Magic { path, .. }
            | IdxError::Length { path, .. }
            | IdxError::TooLarge { path, .. }
            | IdxError::Count {
                image_path: path, ..
            }
            | IdxError::NoPixels { path },
        ) => Some(path),
        DatasetError::Features(
            FeatureError::MissingSplit { root: path, .. }
            | FeatureError::SeveralFiles { first: path, .. }
            | FeatureError::Lengths { train: path, .. }
            | FeatureError::NamesAndNumbers { names: path, .. },
        ) => Some(path),
        _ => None,
    }
}

fn image_error_path(error: &ImageError) -> Option<&Path> {
    match error {
        ImageError::Unreadable { path, .. }
        | ImageError::TooLarge { path }
        | ImageError::Unsupported { path, .. }
        | ImageError::Truncated { path }
        | ImageError::Broken { path, .. }
        | ImageError::BoxOutside { path, .. }
        | ImageError::ImplausibleSize { path, .. } => Some(path),
        ImageError::Listed { source, .. } => image_error_path(source),
        ImageError::NoPicture { .. } => None,
    }
}

/// Returns the kind of an error. The kind of a listed image is that of the image's error.
fn error_kind(error: &DatasetError) -> &'static str {
    match error {
        DatasetError::Setting(_) => "setting",
        DatasetError::RootMissing { .. } => "missing-root",
        DatasetError::Folder(error) => match error {
            FolderError::MissingSplit { .. } => "missing-split",
            FolderError::SplitNames { .. } => "split-names",
            FolderError::WrongRoot { .. } => "wrong-root",
            FolderError::NoClassFolders { .. } => "no-class-folders",
            FolderError::RootIsSplit { .. } => "root-is-split",
            FolderError::UnusedFolder { .. } => "unused-folder",
            FolderError::UnusedImage { .. } => "unused-image",
            FolderError::NotUtf8 { .. } => "not-utf8",
            FolderError::EmptyClass { .. } => "empty-class",
            FolderError::NestedFolder { .. } => "nested-folder",
            FolderError::StrayImage { .. } => "stray-image",
            FolderError::NotAFile { .. } => "no-file",
        },
        DatasetError::List(error) => match error {
            ListError::Missing { .. } => "missing-file",
            ListError::Unreadable { .. } => "unreadable",
            ListError::Invalid { .. } => "list",
            ListError::Row { .. } => "list-line",
            ListError::ListedTwice { .. } => "listed-twice",
            ListError::ImageMissing { .. } => "missing",
            ListError::Unlisted { .. } => "unlisted",
            ListError::Duplicate { .. } => "duplicate",
        },
        DatasetError::Idx(error) => match error {
            IdxError::Missing { .. } => "missing-file",
            IdxError::Unreadable { .. } => "unreadable",
            IdxError::Truncated { .. } => "truncated",
            IdxError::Magic { .. } => "idx-magic",
            IdxError::Length { .. } | IdxError::TooLarge { .. } => "idx-length",
            IdxError::Count { .. } => "idx-count",
            IdxError::NoPixels { .. } => "broken",
        },
        DatasetError::Features(error) => match error {
            FeatureError::Missing(_) => "missing-file",
            FeatureError::File(_) => "features",
            FeatureError::MissingSplit { .. } => "missing-split",
            FeatureError::SeveralFiles { .. } => "several-files",
            FeatureError::Lengths { .. } => "feature-length",
            FeatureError::NamesAndNumbers { .. } => "class-names",
        },
        DatasetError::Image(error) => image_error_kind(error),
        DatasetError::Split(error) => match error {
            SplitError::TooFewClasses { .. }
            | SplitError::TooFewToHoldOut { .. }
            | SplitError::TooFewForBatch { .. } => "too-few-classes",
            SplitError::TooFewImages { .. } => "too-few-images",
            SplitError::SingleImageClass { .. } => "single-image-class",
            SplitError::ClassInBothSplits { .. } => "class-in-both-splits",
            SplitError::NoQuery { .. } => "no-query",
            SplitError::SimilarClasses { .. } => "similar-classes",
            SplitError::UnmatchedQuery { .. } => "query-without-gallery",
        },
        DatasetError::Cache(error) => match error {
            CacheError::Image(error) => image_error_kind(error),
            CacheError::Unreadable { .. } => "unreadable",
            CacheError::Unwritable { .. } => "unwritable",
            CacheError::Stale { .. } => "stale-cache",
            CacheError::Damaged { .. } => "damaged-cache",
            CacheError::NotCompared => "cache-not-compared",
            CacheError::Cancelled => "interrupted",
        },
        DatasetError::NotPublished { .. } => "not-published",
        DatasetError::NoImages { .. } => "no-images",
        DatasetError::Listed { source, .. } | DatasetError::Several { first: source, .. } => {
            error_kind(source)
        }
        DatasetError::Cancelled => "interrupted",
    }
}

fn image_error_kind(error: &ImageError) -> &'static str {
    match error {
        ImageError::Unreadable { .. } => "unreadable",
        ImageError::TooLarge { .. } => "too-large",
        ImageError::Unsupported { .. } => "unsupported",
        ImageError::Truncated { .. } => "truncated",
        ImageError::Broken { .. } => "broken",
        ImageError::BoxOutside { .. } => "box-outside",
        ImageError::ImplausibleSize { .. } => "absurd-size",
        ImageError::Listed { source, .. } => image_error_kind(source),
        ImageError::NoPicture { .. } => "no-picture",
    }
}
