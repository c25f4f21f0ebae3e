//! One problem of a dataset: how bad it is, of which kind, and where.

use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::data::DataError;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training would refuse the dataset, or its figures would be wrong.
    Error,
    /// Worth a look; training goes ahead.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What is wrong with a dataset at one place.
///
/// As JSON: `severity`, `kind`, `file` (the image at fault, else the list), `list` and `line` where a
/// list names it, `class` where it is known, `message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub error: DataError,
    /// The class it concerns, where that is known.
    pub class: Option<String>,
}

impl Problem {
    /// `error`, as bad as its kind is.
    pub(super) fn of(error: DataError) -> Self {
        let severity = match error.unlocated() {
            DataError::Unlisted { .. }
            | DataError::SingleImageClass { .. }
            | DataError::UnmatchedQuery { .. } => Severity::Warning,
            _ => Severity::Error,
        };
        let class = match error.unlocated() {
            DataError::TooFewImages { class, .. }
            | DataError::ClassInBothSplits { class }
            | DataError::SingleImageClass { class, .. }
            | DataError::UnmatchedQuery { class, .. } => Some(class.clone()),
            _ => None,
        };
        Self {
            severity,
            error,
            class,
        }
    }

    /// The kind in kebab case, as in `truncated`.
    pub fn kind(&self) -> &'static str {
        self.error.kind()
    }

    /// The file or folder at fault; a list where it is a line of it that cannot be used.
    pub fn file(&self) -> Option<&Path> {
        path_of(self.error.unlocated()).or(self.line().map(|(list, _)| list))
    }

    /// The list that names the image at fault, with the line from 1.
    pub fn line(&self) -> Option<(&Path, usize)> {
        match &self.error {
            DataError::Listed { list, line, .. } => Some((list, *line)),
            _ => None,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", &self.severity)?;
        map.serialize_entry("kind", self.kind())?;
        map.serialize_entry("file", &self.file().map(Path::to_string_lossy))?;
        let (list, line) = self.line().unzip();
        map.serialize_entry("list", &list.map(Path::to_string_lossy))?;
        map.serialize_entry("line", &line)?;
        if let Some(class) = &self.class {
            map.serialize_entry("class", class)?;
        }
        map.serialize_entry("message", &self.error.to_string())?;
        map.end()
    }
}

/// The file or folder that a mistake is about.
fn path_of(error: &DataError) -> Option<&Path> {
    match error {
        DataError::RootMissing { root: path, .. }
        | DataError::MissingSplit { root: path, .. }
        | DataError::EmptyClass { path }
        | DataError::NestedFolder { path }
        | DataError::StrayImage { path }
        | DataError::Unreadable { path, .. }
        | DataError::UnsupportedImage { path, .. }
        | DataError::Truncated { path }
        | DataError::BrokenImage { path, .. }
        | DataError::FileMissing { path, .. }
        | DataError::List { path, .. }
        | DataError::ImageMissing { path }
        | DataError::NoFile { path }
        | DataError::Unlisted { path }
        | DataError::AbsurdSize { path, .. }
        | DataError::Duplicate { path, .. }
        | DataError::UnmatchedQuery { path, .. }
        | DataError::IdxMagic { path, .. }
        | DataError::IdxLength { path, .. }
        | DataError::IdxCount {
            image_path: path, ..
        } => Some(path),
        _ => None,
    }
}

impl DataError {
    /// The kind of mistake in kebab case, the same in every version; that of a listed image is the
    /// image's.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::RootMissing { .. } => "missing-root",
            Self::MissingSplit { .. } => "missing-split",
            Self::TooFewClasses { .. } => "too-few-classes",
            Self::EmptyClass { .. } => "empty-class",
            Self::TooFewImages { .. } => "too-few-images",
            Self::ClassInBothSplits { .. } => "class-in-both-splits",
            Self::NestedFolder { .. } => "nested-folder",
            Self::StrayImage { .. } => "stray-image",
            Self::Unreadable { .. } => "unreadable",
            Self::UnsupportedImage { .. } => "unsupported",
            Self::Truncated { .. } => "truncated",
            Self::BrokenImage { .. } => "broken",
            Self::FileMissing { .. } => "missing-file",
            Self::Listed { source, .. } | Self::Several { first: source, .. } => source.kind(),
            Self::Row { .. } => "list-line",
            Self::List { .. } => "list",
            Self::ListedTwice { .. } => "listed-twice",
            Self::ImageMissing { .. } => "missing",
            Self::NoFile { .. } => "no-file",
            Self::NothingMeasured { .. } => "nothing-measured",
            Self::Unlisted { .. } => "unlisted",
            Self::AbsurdSize { .. } => "absurd-size",
            Self::Duplicate { .. } => "duplicate",
            Self::NotPublished { .. } => "not-published",
            Self::NoQuery => "no-query",
            Self::ClassBroken { .. } => "class-broken",
            Self::CacheUnwritable { .. } => "cache",
            Self::Cancelled => "interrupted",
            Self::IdxMagic { .. } => "idx-magic",
            Self::IdxLength { .. } => "idx-length",
            Self::IdxCount { .. } => "idx-count",
            Self::SingleImageClass { .. } => "single-image-class",
            Self::UnmatchedQuery { .. } => "query-without-gallery",
            Self::NoImages { .. } => "no-images",
            Self::SheetPath { .. } => "sheet",
        }
    }
}
