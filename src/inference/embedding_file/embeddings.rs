//! Embeddings with labels, read from a file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};

use super::error::EmbeddingFileError;
use super::metadata::class_names;
use crate::data::NO_CLASS;
use crate::loss::MAXIMUM_BATCH;
use crate::shorten::shorten;

/// Embeddings, and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The file, for messages.
    path: PathBuf,
    /// The embeddings \[N, D\], row by row.
    pub rows: Vec<f32>,
    /// The dimension D of an embedding, at least 1.
    pub dim: usize,
    /// The class of each row \[N\], N at least 1; [`NO_CLASS`] for rows without a class.
    pub labels: Vec<i64>,
    /// The names of the classes, which the labels index; `None` if the file does not have them.
    pub classes: Option<Vec<String>>,
}

impl Embeddings {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// If the file cannot be read, has another format, or has a value that is not finite.
    pub fn read(path: &Path) -> Result<Self, EmbeddingFileError> {
        let bytes = std::fs::read(path).map_err(|source| EmbeddingFileError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(path, &bytes)
    }

    /// Parses the contents of the file `path`.
    ///
    /// # Errors
    /// If they have another format, or a value that is not finite.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, EmbeddingFileError> {
        let format = |reason: String| EmbeddingFileError::Format {
            path: path.to_path_buf(),
            reason: shorten(&reason).into_owned(),
        };
        let file = SafeTensors::deserialize(bytes).map_err(|error| format(error.to_string()))?;
        let tensor = |name: &str, dtype: Dtype, dimensions: usize| {
            let tensor = file
                .tensor(name)
                .map_err(|_| format(format!("the tensor `{name}` is missing")))?;
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
            classes: class_names(bytes).map_err(format)?,
        };
        if let Some(label) = embeddings.first_unnamed() {
            return Err(format(format!(
                "its metadata has no name for class {label}, which is among the labels"
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

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the first label without a name; `None` if all have one, or the file has no names.
    fn first_unnamed(&self) -> Option<i64> {
        let count = self.classes.as_ref()?.len();
        let named = |label: i64| usize::try_from(label).is_ok_and(|label| label < count);
        let mut labels = self.labels.iter().copied();
        labels.find(|&label| label != NO_CLASS && !named(label))
    }

    /// Checks that the rows are a batch: at most [`MAXIMUM_BATCH`], the rows of a class adjacent, and an
    /// even number of each.
    ///
    /// # Errors
    /// If they are not, with their number or the first row at fault.
    pub fn check_batch(&self) -> Result<(), EmbeddingFileError> {
        let rows = self.labels.len();
        if rows > MAXIMUM_BATCH {
            return Err(EmbeddingFileError::TooManyRows {
                path: self.path.clone(),
                rows,
            });
        }
        let at = |row: usize, reason: String| {
            Err(EmbeddingFileError::Batch {
                path: self.path.clone(),
                row,
                reason,
            })
        };
        let mut seen = HashSet::new();
        let mut start = 0;
        for class in self.labels.chunk_by(|a, b| a == b) {
            let label = class[0];
            if label == NO_CLASS {
                return at(
                    start,
                    "has the label -1 of images without a class; remove it".into(),
                );
            }
            if !seen.insert(label) {
                return at(
                    start,
                    format!("repeats class {label} after another one; sort the rows by label"),
                );
            }
            if !class.len().is_multiple_of(2) {
                return at(
                    start,
                    format!(
                        "begins class {label}, which has {} row(s); use an even number, because \
                         images are paired",
                        class.len()
                    ),
                );
            }
            start += class.len();
        }
        Ok(())
    }

    /// Returns 1/|x| for every row x.
    ///
    /// # Errors
    /// If a row has length 0 and therefore no direction.
    pub fn reciprocal_lengths(&self) -> Result<Vec<f32>, EmbeddingFileError> {
        let reciprocal = |(row, values): (usize, &[f32])| {
            let square: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            if square == 0.0 {
                return Err(EmbeddingFileError::Batch {
                    path: self.path.clone(),
                    row,
                    reason: "has length 0 and cannot be scaled to unit length; remove it, or pass \
                             --set model.normalize=false"
                        .into(),
                });
            }
            Ok((1.0 / square.sqrt()) as f32)
        };
        let rows = self.rows.chunks(self.dim).enumerate();
        rows.map(reciprocal).collect()
    }
}

/// Parses little-endian numbers of `SIZE` bytes.
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
    fn batches_that_need_more_than_8_gib_are_refused() {
        labelled(&[3; MAXIMUM_BATCH]).check_batch().unwrap();
        let error = labelled(&[3; 60_000]).check_batch().unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("has 60000 rows, but a batch has at most 8192"),
            "{message}"
        );
        assert!(message.contains("about 429 GiB"), "{message}");
    }

    #[test]
    fn rows_of_a_class_must_be_adjacent_and_an_even_number() {
        labelled(&[4, 4, 2, 2, 2, 2]).check_batch().unwrap();
        for (labels, row, reason) in [
            (&[4, 4, 2, 2, 4, 4][..], "row 4", "repeats class 4"),
            (&[4, 4, 2, 2, 2], "row 2", "3 row(s)"),
            (&[4, 4, -1, -1], "row 2", "without a class"),
        ] {
            let message = labelled(labels).check_batch().unwrap_err().to_string();
            assert!(message.starts_with(row), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }
}
