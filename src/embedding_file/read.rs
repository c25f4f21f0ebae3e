//! Reading embeddings with their labels, which may be in another file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::contents::{Contents, Format};
use super::embeddings::Embeddings;
use super::error::{EmbeddingFileError, RowNames, row_name};
use super::image_names::first_difference;
use super::label_text;
use super::labels::Labels;
use super::labels::NO_CLASS;
use super::metadata::is_exported_embedder_file;
use crate::bounded_read::{GIB, StartedFile, read_at_most};
use crate::shorten::shorten;

/// The most bytes of a file of embeddings.
const MAXIMUM_BYTES: u64 = 32 * GIB;

/// The most bytes of a file of labels, and of one of names.
const MAXIMUM_LABEL_BYTES: u64 = GIB;

const EMBEDDINGS: &str = "embeddings";
const LABELS: &str = "labels";
const NAMES: &str = "names";

/// Returns whether a file is one of embeddings, by its content; `false` for a folder, a pipe, an exported embedder, and
/// a file that cannot be read.
pub fn is_embedding_file(path: &Path) -> bool {
    let start = |path| StartedFile::open(path).ok();
    match path.is_file().then(|| start(path)).flatten() {
        Some(file) => match Format::of(file.start()) {
            Some(Format::Safetensors) => !is_exported_embedder_file(path),
            format => format.is_some(),
        },
        None => false,
    }
}

/// The option of a command that gives the labels of a file of embeddings.
#[derive(Debug, Clone, Copy)]
pub struct LabelsOption<'a> {
    /// The option, for messages.
    pub name: &'static str,
    /// The file that it gives. Labels elsewhere are then ignored.
    pub file: Option<&'a Path>,
}

/// `NAME.json` beside `NAME.npy`, as [`EmbeddingOutput`](super::EmbeddingOutput) writes it.
#[derive(Deserialize)]
struct Names {
    paths: Vec<String>,
    classes: Vec<String>,
}

impl Embeddings {
    /// Reads a safetensors, `.npy`, `.npz` or Parquet file, recognised by its content. Numbers are converted to single
    /// precision.
    ///
    /// Labels are those of the file that `labels` gives: a file of any of these formats, a text with a
    /// label in each line, or a CSV file with a column `label`. If it also has paths, they must be those of the
    /// embeddings, row by row. Without it they are the array `labels` or the column `label` or `class` of the
    /// file; for a `.npy` file, those in `NAME.labels.npy` beside it.
    ///
    /// # Errors
    /// If a file cannot be read or has another format, if there is not one label for each row, if the labels are
    /// those of other images, or if a value is not finite.
    pub fn read(path: &Path, labels: LabelsOption<'_>) -> Result<Self, EmbeddingFileError> {
        let (contents, labels_path) = read_contents(path, labels)?;
        Self::new(path, &labels_path, contents, labels.name)
    }

    /// Reads as [`read`](Self::read) does a file that may have no labels. Its rows are then without a class.
    ///
    /// # Errors
    /// As [`read`](Self::read), except that labels are missing.
    pub fn read_with_any_labels(path: &Path) -> Result<Self, EmbeddingFileError> {
        let labels = LabelsOption {
            name: "--labels",
            file: None,
        };
        let (mut contents, labels_path) = read_contents(path, labels)?;
        let rows = contents.matrix.rows.len() / contents.matrix.dim;
        let without = || Labels::from_numbers(vec![NO_CLASS; rows]);
        contents.labels.get_or_insert_with(without);
        Self::new(path, &labels_path, contents, labels.name)
    }

    /// Parses the contents of a whole file, whose labels are in it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[cfg(feature = "fuzzing")]
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, EmbeddingFileError> {
        let unknown = || EmbeddingFileError::UnknownFormat { path: path.into() };
        let format = Format::of(bytes).ok_or_else(unknown)?;
        let contents = Contents::parse(format, bytes.to_vec(), true);
        let mut contents = contents.map_err(|reason| invalid(EMBEDDINGS, path, &reason))?;
        if format == Format::Npy {
            contents.without_labels = Some("a .npy file is one array".into());
        }
        Self::new(path, path, contents, "--labels")
    }

    fn new(
        path: &Path,
        labels_path: &Path,
        contents: Contents,
        option: &'static str,
    ) -> Result<Self, EmbeddingFileError> {
        let Contents {
            matrix,
            labels,
            without_labels,
            paths,
        } = contents;
        let rows = matrix.rows.len() / matrix.dim;
        let is_named = |paths: &Vec<String>| paths.iter().any(|path| !path.is_empty());
        let paths = paths.filter(|paths| paths.len() == rows && is_named(paths));
        let Some(mut labels) = labels else {
            return Err(EmbeddingFileError::NoLabels {
                path: path.into(),
                reason: without_labels.unwrap_or_default(),
                option,
            });
        };
        if labels.count() != rows {
            return Err(EmbeddingFileError::LabelCount {
                path: path.into(),
                rows,
                labels_path: labels_path.into(),
                labels: labels.count(),
            });
        }
        let others = labels.paths.as_ref().filter(|paths| paths.len() == rows);
        match (&paths, others) {
            (Some(own), Some(others)) => {
                if let Some(row) = first_difference(own, others) {
                    let reason = format!(
                        "its row {row} is `{}`, and row {row} of {} is `{}`; sort its rows as the paths of the \
                         embeddings, or leave out its paths (the column path) if the labels are in the right order",
                        shorten(&others[row]),
                        path.display(),
                        shorten(&own[row])
                    );
                    return Err(invalid(LABELS, labels_path, &reason));
                }
            }
            (None, Some(_)) => tracing::info!(
                "{} has no paths; the labels of {} are those of its rows in their order, whatever their paths",
                path.display(),
                labels_path.display()
            ),
            (_, None) => {}
        }
        // An empty list names nothing: the labels are numbers.
        if labels.numbers.iter().any(|&label| label != NO_CLASS) {
            labels.classes = labels.classes.filter(|classes| !classes.is_empty());
        }
        if let Some(label) = labels.first_unnamed() {
            let reason = format!(
                "there is no name for class {label}, which is among the labels; the labels index the names of \
                 the classes, or are -1"
            );
            return Err(invalid(LABELS, labels_path, &reason));
        }
        if let Some((row, value)) = matrix.overflow {
            return Err(EmbeddingFileError::TooLarge {
                path: path.into(),
                row: row_name(row, paths.as_deref()),
                value,
            });
        }
        let chunks = matrix.rows.chunks(matrix.dim).enumerate();
        let broken = chunks.filter(|(_, row)| row.iter().any(|x| !x.is_finite()));
        let broken = RowNames::new(broken.map(|(row, _)| row), paths.as_deref());
        if !broken.is_empty() {
            return Err(EmbeddingFileError::NotFinite {
                path: path.into(),
                rows: broken,
            });
        }
        Ok(Self {
            path: path.into(),
            rows: matrix.rows,
            dim: matrix.dim,
            labels: labels.numbers,
            classes: labels.classes,
            only_names: labels.only_names,
            paths,
        })
    }
}

/// Reads a file of embeddings and its labels, and the path of the file with the labels.
fn read_contents(
    path: &Path,
    labels: LabelsOption<'_>,
) -> Result<(Contents, PathBuf), EmbeddingFileError> {
    let file = StartedFile::open(path).map_err(unreadable(EMBEDDINGS, path))?;
    let unknown = || EmbeddingFileError::UnknownFormat { path: path.into() };
    // Before the rest is read: it may be long, or never end.
    let format = Format::of(file.start()).ok_or_else(unknown)?;
    let bytes = file
        .read_at_most(MAXIMUM_BYTES)
        .map_err(unreadable(EMBEDDINGS, path))?;
    let with_labels = labels.file.is_none();
    let mut contents = Contents::parse(format, bytes, with_labels)
        .map_err(|reason| invalid(EMBEDDINGS, path, &reason))?;
    let rows = contents.matrix.rows.len() / contents.matrix.dim;
    let names = match format {
        Format::Npy => names_beside(path)?,
        _ => None,
    };
    let mut labels_path = path.to_path_buf();
    if let Some(file) = labels.file {
        contents.labels = Some(read_labels(file, rows)?);
        labels_path = file.into();
    } else if format == Format::Npy {
        let beside = path.with_extension("labels.npy");
        if beside.exists() {
            tracing::info!(
                "the labels of {} are those in {}",
                path.display(),
                beside.display()
            );
            let mut found = read_labels(&beside, rows)?;
            found.classes = found
                .classes
                .or(names.as_ref().map(|names| names.classes.clone()));
            contents.labels = Some(found);
            labels_path = beside;
        } else {
            contents.without_labels = Some(format!(
                "a .npy file is one array; save theirs as {}",
                name_of(&beside)
            ));
        }
    }
    contents.paths = contents.paths.or(names.map(|names| names.paths));
    Ok((contents, labels_path))
}

/// Parses the contents of a whole file of labels of `count` rows.
///
/// # Errors
/// The difference from the format, with what to do.
#[cfg(feature = "fuzzing")]
pub(crate) fn parse_labels(bytes: &[u8], count: usize) -> Result<(), String> {
    labels_in(bytes.to_vec(), count).map(drop)
}

fn labels_in(bytes: Vec<u8>, count: usize) -> Result<Labels, String> {
    match Format::of(&bytes) {
        Some(format) => Contents::labels_of(format, bytes),
        None => label_text::parse(&bytes, count),
    }
}

fn read_labels(path: &Path, count: usize) -> Result<Labels, EmbeddingFileError> {
    let file = StartedFile::open(path).map_err(unreadable(LABELS, path))?;
    // A file of embeddings may have the labels.
    let limit = match Format::of(file.start()) {
        Some(Format::Safetensors | Format::Npz | Format::Parquet) => MAXIMUM_BYTES,
        Some(Format::Npy) => MAXIMUM_LABEL_BYTES,
        None if file.start().contains(&0) => {
            let reason = "it is not a text, and neither .npy, .npz, safetensors nor Parquet; save one label for each \
                          row as .npy or as text";
            return Err(invalid(LABELS, path, reason));
        }
        None => MAXIMUM_LABEL_BYTES,
    };
    let bytes = file.read_at_most(limit).map_err(unreadable(LABELS, path))?;
    labels_in(bytes, count).map_err(|reason| invalid(LABELS, path, &reason))
}

/// Reads `NAME.json` beside `NAME.npy`; `None` if it does not exist, or has other contents.
fn names_beside(path: &Path) -> Result<Option<Names>, EmbeddingFileError> {
    let beside: PathBuf = path.with_extension("json");
    if !beside.exists() {
        return Ok(None);
    }
    let bytes = read_at_most(&beside, MAXIMUM_LABEL_BYTES).map_err(unreadable(NAMES, &beside))?;
    let names = serde_json::from_slice(&bytes);
    if names.is_err() {
        tracing::warn!(
            "{} has no lists `paths` and `classes` of names; the names of images and classes are not known",
            beside.display()
        );
    }
    Ok(names.ok())
}

fn unreadable(
    content: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> EmbeddingFileError {
    move |source| EmbeddingFileError::Unreadable {
        content,
        path: path.into(),
        source,
    }
}

fn invalid(content: &'static str, path: &Path, reason: &str) -> EmbeddingFileError {
    EmbeddingFileError::Format {
        content,
        path: path.into(),
        reason: reason.into(),
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(OsStr::new(""));
    shorten(&name.to_string_lossy()).into_owned()
}
