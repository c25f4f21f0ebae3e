//! Embeddings with labels in a safetensors file: `embeddings` f32 \[N, D\] and `labels` i64 \[N\].

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

/// Embeddings and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The file they came from, for messages.
    path: PathBuf,
    /// N rows of length D, one after the other.
    pub rows: Vec<f32>,
    /// D, at least 1.
    pub dim: usize,
    /// The class of each row, N of them, at least 1.
    pub labels: Vec<i64>,
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
    /// What was to be written exists.
    #[error("{} exists and is not overwritten: give another name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder of what was to be written is not there.
    #[error("cannot write {}: there is no folder {}; create it first", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check the folder and its free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
        };
        match embeddings.rows.iter().position(|x| !x.is_finite()) {
            Some(position) => Err(EmbeddingFileError::NotFinite {
                row: position / embeddings.dim,
                path: embeddings.path,
            }),
            None => Ok(embeddings),
        }
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
            if label == -1 {
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

/// Little-endian numbers of `SIZE` bytes.
fn numbers<T, const SIZE: usize>(bytes: &[u8], read: fn([u8; SIZE]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|&bytes| read(bytes)).collect()
}

/// Writes a matrix as the only tensor of a safetensors file, under a temporary name first.
///
/// # Shapes
/// - rows: N rows of length `dim`, one after the other
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write_matrix(
    path: &Path,
    name: &str,
    rows: &[f32],
    dim: usize,
) -> Result<(), EmbeddingFileError> {
    check_free(path)?;
    let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![rows.len() / dim, dim], &bytes)
        .expect("rows of one length");
    let file = safetensors::serialize([(name, view)], None).expect("one tensor with a name");
    let unwritable = |source| EmbeddingFileError::Unwritable {
        path: path.to_path_buf(),
        source,
    };
    let mut temporary = tempfile::NamedTempFile::new_in(folder_of(path)).map_err(unwritable)?;
    temporary.write_all(&file).map_err(unwritable)?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => check_free(path),
        Err(error) => Err(unwritable(error.error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes sure that a file of this name can be made without overwriting anything.
///
/// # Errors
/// When something of this name exists, or its folder does not.
pub fn check_free(path: &Path) -> Result<(), EmbeddingFileError> {
    let folder = folder_of(path);
    if !folder.is_dir() || path.file_name().is_none() {
        return Err(EmbeddingFileError::NoFolder {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
        });
    }
    if path.symlink_metadata().is_ok() {
        return Err(EmbeddingFileError::Exists {
            path: path.to_path_buf(),
        });
    }
    Ok(())
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

    #[test]
    fn what_was_written_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gradient.safetensors");
        write_matrix(&path, "gradient", &[1.0, 2.0, 3.0, 4.0], 2).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let gradient = file.tensor("gradient").unwrap();
        assert_eq!(gradient.shape(), [2, 2]);
        assert_eq!(numbers(gradient.data(), f32::from_le_bytes)[3], 4.0);
        let error = write_matrix(&path, "gradient", &[5.0], 1).unwrap_err();
        assert!(error.to_string().contains("not overwritten"));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
