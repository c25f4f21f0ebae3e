//! Embeddings with labels.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::error::{EmbeddingFileError, RowNames};
use super::labels::NO_CLASS;
use crate::loss::MAXIMUM_BATCH;

/// Embeddings, and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The file, for messages.
    pub(super) path: PathBuf,
    /// The embeddings \[N, D\], row by row.
    pub rows: Vec<f32>,
    /// The dimension D of an embedding, at least 1.
    pub dim: usize,
    /// The class of each row \[N\], N at least 1; [`NO_CLASS`] for rows without a class.
    pub labels: Vec<i64>,
    /// The names of the classes, which the labels index; `None` if the file does not have them.
    pub classes: Option<Vec<String>>,
    /// Whether the labels were names, so that their numbers have no meaning in another file.
    pub(super) only_names: bool,
    /// The names of the images, one for each row; `None` if the file does not have them.
    pub paths: Option<Vec<String>>,
}

impl Embeddings {
    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the labels were given as names, so that their numbers have no meaning in another file.
    pub fn has_only_names(&self) -> bool {
        self.only_names
    }

    /// Checks that every row has a class.
    ///
    /// # Errors
    /// If rows have the label [`NO_CLASS`], with the first of them.
    pub fn check_labelled(&self) -> Result<(), EmbeddingFileError> {
        let labels = self.labels.iter().enumerate();
        let without = labels.filter(|(_, label)| **label == NO_CLASS);
        let rows = RowNames::new(without.map(|(row, _)| row), self.paths.as_deref());
        match rows.is_empty() {
            true => Ok(()),
            false => Err(EmbeddingFileError::Unlabelled {
                path: self.path.clone(),
                rows,
            }),
        }
    }

    /// Checks that the rows are a batch: at most [`MAXIMUM_BATCH`], the rows of a class adjacent, and if they are
    /// `paired`, an even number of each.
    ///
    /// # Errors
    /// If they are not, with their number or the first row at fault.
    pub fn check_batch(&self, paired: bool) -> Result<(), EmbeddingFileError> {
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
            if paired && !class.len().is_multiple_of(2) {
                return at(
                    start,
                    format!(
                        "begins class {label}, which has {} row(s); use an even number, because these \
                         negatives pair images",
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
    /// If rows have length 0 and therefore no direction.
    pub fn reciprocal_lengths(&self) -> Result<Vec<f32>, EmbeddingFileError> {
        let square = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let rows = self.rows.chunks(self.dim);
        let squares: Vec<f64> = rows.map(square).collect();
        let zero = squares
            .iter()
            .enumerate()
            .filter(|(_, square)| **square == 0.0);
        let zero = RowNames::new(zero.map(|(row, _)| row), self.paths.as_deref());
        match zero.is_empty() {
            true => Ok(squares
                .iter()
                .map(|square| (1.0 / square.sqrt()) as f32)
                .collect()),
            false => Err(EmbeddingFileError::ZeroRows {
                path: self.path.clone(),
                rows: zero,
            }),
        }
    }
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
            only_names: false,
            paths: None,
        }
    }

    #[test]
    fn batches_that_need_more_than_8_gib_are_refused() {
        labelled(&[3; MAXIMUM_BATCH]).check_batch(true).unwrap();
        let error = labelled(&[3; 60_000]).check_batch(true).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("has 60000 rows, but a batch has at most 8192"),
            "{message}"
        );
        assert!(message.contains("about 429 GiB"), "{message}");
    }

    #[test]
    fn rows_of_a_class_must_be_adjacent_and_an_even_number() {
        labelled(&[4, 4, 2, 2, 2, 2]).check_batch(true).unwrap();
        labelled(&[4, 2, 2, 2]).check_batch(false).unwrap();
        for (labels, row, reason) in [
            (&[4, 4, 2, 2, 4, 4][..], "row 4", "repeats class 4"),
            (&[4, 4, 2, 2, 2], "row 2", "3 row(s)"),
            (&[4, 4, -1, -1], "row 2", "without a class"),
        ] {
            let message = labelled(labels).check_batch(true).unwrap_err().to_string();
            assert!(message.starts_with(row), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn rows_of_length_zero_are_named_with_their_images() {
        let mut rows = labelled(&[0; 6]);
        rows.rows[4] = -2.0;
        rows.paths = Some((0..6).map(|row| format!("{row}.png")).collect());
        let message = rows.reciprocal_lengths().unwrap_err().to_string();
        assert_eq!(
            message,
            "5 rows of batch.safetensors (row 0 (0.png), row 2 (2.png), row 3 (3.png) and 2 more) have length 0 and \
             cannot be scaled to unit length; remove them, or pass --set model.normalize=false"
        );
        rows.rows.fill(1e-30);
        rows.rows[3..].fill(3e25);
        let found = rows.reciprocal_lengths().unwrap();
        let expected = [1e-30, 3e25].map(|x: f64| 1.0 / (x * 3f64.sqrt()));
        assert!((f64::from(found[0]) / expected[0] - 1.0).abs() < 1e-6);
        assert!((f64::from(found[5]) / expected[1] - 1.0).abs() < 1e-6);
    }
}
