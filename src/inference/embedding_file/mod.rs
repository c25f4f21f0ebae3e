//! Embeddings with labels in a safetensors file: `embeddings` f32 \[N, D\] and `labels` i64 \[N\],
//! −1 where an image has no class. Its metadata may hold `paths` and `classes`, each a JSON list: the
//! names of the images, row by row, and those of the classes, which the labels then index.

mod npy;
mod write;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};
use thiserror::Error;

use crate::data::NO_CLASS;

pub use write::{EmbeddingOutput, NamedEmbeddings, write_matrix};

/// The key of the classes' names in the metadata.
const CLASSES: &str = "classes";

/// The key of the images' names in the metadata.
const PATHS: &str = "paths";

/// Embeddings and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The file they came from, for messages.
    path: PathBuf,
    /// N rows of length D, one after the other.
    pub rows: Vec<f32>,
    /// D, at least 1.
    pub dim: usize,
    /// The class of each row, N of them, at least 1; [`NO_CLASS`] where it has none.
    pub labels: Vec<i64>,
    /// The names of the classes, which the labels index; none where the file does not say.
    pub classes: Option<Vec<String>>,
}

/// A mistake in a file of embeddings.
#[derive(Debug, Error)]
pub enum EmbeddingFileError {
    /// The file cannot be read.
    #[error("cannot read the embeddings {}: {source}; check the path given with --embeddings", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not in the format.
    #[error(
        "{} is no safetensors file of embeddings: {reason}; it needs `embeddings` f32 [N, D] and \
         `labels` i64 [N]",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A row holds a number that is none.
    #[error(
        "row {row} of {} holds a number that is infinite or not a number: remove the row, or embed \
         the image again",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
    },
    /// The rows are not a batch.
    #[error("row {row} of {} {reason}", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// What is wrong with it, and the mend.
        reason: String,
    },
}

impl Embeddings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is not in the format, or holds a number that is not finite.
    pub fn read(path: &Path) -> Result<Self, EmbeddingFileError> {
        let format = |reason: String| EmbeddingFileError::Format {
            path: path.to_path_buf(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|source| EmbeddingFileError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
        let tensor = |name: &str, dtype: Dtype, dimensions: usize| {
            let tensor = file
                .tensor(name)
                .map_err(|_| format(format!("it has no tensor `{name}`")))?;
            if tensor.dtype() != dtype || tensor.shape().len() != dimensions {
                let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
                return Err(format(format!("`{name}` is {found}")));
            }
            Ok(tensor)
        };
        let embeddings = tensor("embeddings", Dtype::F32, 2)?;
        let labels = tensor("labels", Dtype::I64, 1)?;
        let (shape, count) = (embeddings.shape(), labels.shape()[0]);
        if shape[0] != count || shape.contains(&0) {
            return Err(format(format!("{shape:?} embeddings with {count} labels")));
        }
        let embeddings = Self {
            path: path.to_path_buf(),
            rows: numbers(embeddings.data(), f32::from_le_bytes),
            dim: shape[1],
            labels: numbers(labels.data(), i64::from_le_bytes),
            classes: class_names(&bytes).map_err(format)?,
        };
        if let Some(label) = embeddings.first_unnamed() {
            return Err(format(format!(
                "its metadata names no class {label}, which is among the labels"
            )));
        }
        match embeddings.rows.iter().position(|x| !x.is_finite()) {
            Some(position) => Err(EmbeddingFileError::NotFinite {
                row: position / embeddings.dim,
                path: embeddings.path,
            }),
            None => Ok(embeddings),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first label beyond the names of the classes.
    fn first_unnamed(&self) -> Option<i64> {
        let count = self.classes.as_ref()?.len();
        let named = |label: i64| usize::try_from(label).is_ok_and(|label| label < count);
        let mut labels = self.labels.iter().copied();
        labels.find(|&label| label != NO_CLASS && !named(label))
    }

    /// Makes sure that the rows are a batch: those of a class adjacent, an even number each.
    ///
    /// # Errors
    /// The first row that breaks this.
    pub fn check_batch(&self) -> Result<(), EmbeddingFileError> {
        let at = |row: usize, reason: String| {
            Err(EmbeddingFileError::Batch {
                path: self.path.clone(),
                row,
                reason,
            })
        };
        let mut met = HashSet::new();
        let mut start = 0;
        for class in self.labels.chunk_by(|a, b| a == b) {
            let label = class[0];
            if label == NO_CLASS {
                return at(
                    start,
                    "has the label -1, that of images without a class: leave it out".into(),
                );
            }
            if !met.insert(label) {
                return at(
                    start,
                    format!(
                        "is of class {label}, which stands further up too: sort the rows by label"
                    ),
                );
            }
            if !class.len().is_multiple_of(2) {
                return at(
                    start,
                    format!(
                        "begins class {label}, which has {} row(s): give each class an even \
                         number, for images go in pairs",
                        class.len()
                    ),
                );
            }
            start += class.len();
        }
        Ok(())
    }

    /// 1/|x| of every row.
    ///
    /// # Errors
    /// The first row of length 0, which has no direction.
    pub fn reciprocal_lengths(&self) -> Result<Vec<f32>, EmbeddingFileError> {
        let reciprocal = |(row, values): (usize, &[f32])| {
            let square: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            if square == 0.0 {
                return Err(EmbeddingFileError::Batch {
                    path: self.path.clone(),
                    row,
                    reason: "has length 0 and cannot be scaled to unit length: leave it out, or \
                             take --set model.normalize=false"
                        .into(),
                });
            }
            Ok((1.0 / square.sqrt()) as f32)
        };
        let rows = self.rows.chunks(self.dim).enumerate();
        rows.map(reciprocal).collect()
    }
}

/// The names of the classes in the header of a file, if it has them.
fn class_names(bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = header.metadata().as_ref().and_then(|own| own.get(CLASSES));
    text.map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|error| format!("`{CLASSES}` of its metadata is no JSON list of names ({error})"))
}

/// Little-endian numbers of `SIZE` bytes.
fn numbers<T, const SIZE: usize>(bytes: &[u8], read: fn([u8; SIZE]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|&bytes| read(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[i64]) -> Embeddings {
        Embeddings {
            path: "batch.safetensors".into(),
            rows: vec![0.0; 3 * labels.len()],
            dim: 3,
            labels: labels.to_vec(),
            classes: None,
        }
    }

    #[test]
    fn batch_has_classes_of_adjacent_rows_in_pairs() {
        labelled(&[4, 4, 2, 2, 2, 2]).check_batch().unwrap();
        for (labels, row, reason) in [
            (&[4, 4, 2, 2, 4, 4][..], "row 4", "further up"),
            (&[4, 4, 2, 2, 2], "row 2", "3 row(s)"),
            (&[4, 4, -1, -1], "row 2", "without a class"),
        ] {
            let message = labelled(labels).check_batch().unwrap_err().to_string();
            assert!(message.starts_with(row), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }
}
