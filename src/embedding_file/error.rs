//! The errors of files of embeddings.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;
use crate::loss::{MAXIMUM_BATCH, pairwise_gib};
use crate::shorten::shorten;

/// A file of embeddings cannot be read or written.
#[derive(Debug, Error)]
pub enum EmbeddingFileError {
    /// The file cannot be read.
    #[error("cannot read {} from {}: {source}; check the path", content, path.display())]
    Unreadable {
        /// `embeddings`, `labels` or `names`.
        content: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The format of the file is not known.
    #[error(
        "{} is not a file of embeddings: its content is neither safetensors nor Parquet nor NumPy's .npy or .npz; write one \
         with loop-dml embed, numpy.save or safetensors", path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file has other contents than are needed.
    #[error("cannot read {content} from {}: {reason}", path.display())]
    Format {
        /// `embeddings`, `labels` or `names`.
        content: &'static str,
        /// The file.
        path: PathBuf,
        /// The difference, with what to do.
        reason: String,
    },
    /// The rows have no labels, which are needed.
    #[error(
        "{} has no labels: {reason}, or pass a file with the label of each row with {option}", path.display()
    )]
    NoLabels {
        /// The file.
        path: PathBuf,
        /// Why, and how to add them.
        reason: String,
        /// The option of the command that gives labels.
        option: &'static str,
    },
    /// There are more or fewer labels than rows.
    #[error(
        "{} has {rows} row(s), but {} has {labels} label(s); give one label for each row, in their order",
        path.display(), labels_path.display()
    )]
    LabelCount {
        /// The file of the rows.
        path: PathBuf,
        /// The number of rows.
        rows: usize,
        /// The file of the labels.
        labels_path: PathBuf,
        /// The number of labels.
        labels: usize,
    },
    /// Rows have infinite values or NaN.
    #[error(
        "{} {} an infinite value or NaN; remove {}, or embed the images again",
        subject(rows, path), if rows.count == 1 { "has" } else { "have" }, if rows.count == 1 { "it" } else { "them" }
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The rows.
        rows: RowNames,
    },
    /// A value is too large for single precision.
    #[error(
        "{row} of {} has the value {value:e}, above {:e}, the largest of single precision; scale the embeddings \
         down", path.display(), f32::MAX
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The name of the row.
        row: String,
        /// The value.
        value: f64,
    },
    /// Rows are zero, and have to be scaled to unit length.
    #[error(
        "{} {} length 0 and cannot be scaled to unit length; remove {}, or pass --set model.normalize=false",
        subject(rows, path), if rows.count == 1 { "has" } else { "have" }, if rows.count == 1 { "it" } else { "them" }
    )]
    ZeroRows {
        /// The file.
        path: PathBuf,
        /// The rows.
        rows: RowNames,
    },
    /// Rows have no class, which training needs.
    #[error(
        "{} {} the label -1 of rows without a class; remove {}, or give a class",
        subject(rows, path), if rows.count == 1 { "has" } else { "have" }, if rows.count == 1 { "it" } else { "them" }
    )]
    Unlabelled {
        /// The file.
        path: PathBuf,
        /// The rows.
        rows: RowNames,
    },
    /// The rows are not a batch.
    #[error("row {row} of {} {reason}", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The mistake, and how to fix it.
        reason: String,
    },
    /// The file has more rows than a batch whose loss is computed.
    #[error(
        "{} has {rows} rows, but a batch has at most {MAXIMUM_BATCH}: the pairwise matrices of {rows} rows \
         take about {} GiB; pass fewer rows, or measure retrieval with loop-dml evaluate --embeddings",
        path.display(), pairwise_gib(*rows)
    )]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// The number of rows.
        rows: usize,
    },
    /// The name of an output file has an unknown extension.
    #[error(
        "the extension of {} does not name a known format; use {known}",
        path.display()
    )]
    Extension {
        /// The output file.
        path: PathBuf,
        /// The extensions that are known.
        known: &'static str,
    },
    /// An output file cannot be written.
    #[error(transparent)]
    Output(#[from] AtomicFileError),
}

/// The most rows that a message names.
const NAMED_ROWS: usize = 3;

/// The first rows at fault, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowNames {
    names: Vec<String>,
    count: usize,
}

impl RowNames {
    /// Names the first of `rows`, from 0, and counts them. `paths` are the names of the images of all rows.
    pub(super) fn new(rows: impl Iterator<Item = usize>, paths: Option<&[String]>) -> Self {
        let mut named = Self::default();
        for row in rows {
            if named.count < NAMED_ROWS {
                named.names.push(row_name(row, paths));
            }
            named.count += 1;
        }
        named
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The name of a row, from 0: its number, and its image if it is known.
pub(super) fn row_name(row: usize, paths: Option<&[String]>) -> String {
    match paths.and_then(|paths| paths.get(row)) {
        Some(path) if !path.is_empty() => format!("row {row} ({})", shorten(path)),
        _ => format!("row {row}"),
    }
}

impl fmt::Display for RowNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.names.join(", "))?;
        match self.count - self.names.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn subject(rows: &RowNames, path: &std::path::Path) -> String {
    match rows.count {
        1 => format!("{rows} of {}", path.display()),
        count => format!("{count} rows of {} ({rows})", path.display()),
    }
}
