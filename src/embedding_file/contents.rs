//! The contents of a file of embeddings, in each format that is read. The format is found by the first bytes,
//! whatever the name of the file is.

use super::labels::Labels;
use super::npy::{self, parse_npy};
use super::npz::{self, parse_npz};
use super::parquet::{self, parse_parquet};
use super::raw_array::Matrix;
use super::read_tensors::TensorFile;
use crate::safetensors_start::is_safetensors;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    Npy,
    Npz,
    Parquet,
}

impl Format {
    /// Returns the format of a file that starts with `start`; `None` if it is not known.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(npy::MAGIC) {
            Some(Self::Npy)
        } else if start.starts_with(npz::MAGIC) {
            Some(Self::Npz)
        } else if start.starts_with(parquet::MAGIC) || start.starts_with(parquet::ENCRYPTED_MAGIC) {
            Some(Self::Parquet)
        } else {
            is_safetensors(start).then_some(Self::Safetensors)
        }
    }
}

/// The contents of a file of embeddings.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) matrix: Matrix,
    /// The labels; `None` if they were not asked for, or the format is `.npy`, which has one array.
    pub(super) labels: Option<Labels>,
    /// Why the file has no labels, if they were asked for.
    pub(super) without_labels: Option<String>,
    /// The names of the images, one for each row.
    pub(super) paths: Option<Vec<String>>,
}

impl Contents {
    /// Parses a whole file.
    ///
    /// # Errors
    /// The difference from the format, with what to do.
    pub(super) fn parse(format: Format, bytes: Vec<u8>, with_labels: bool) -> Result<Self, String> {
        match format {
            Format::Npy => Ok(Self {
                matrix: parse_npy("the array", &bytes)?.matrix()?,
                ..Self::default()
            }),
            Format::Npz => {
                let (embeddings, labels) = parse_npz(&bytes, with_labels)?;
                let matrix = embeddings.matrix()?;
                Ok(match (with_labels, labels) {
                    (true, Ok(labels)) => Self {
                        matrix,
                        labels: Some(labels.labels()?),
                        ..Self::default()
                    },
                    (true, Err(reason)) => Self {
                        matrix,
                        without_labels: Some(reason),
                        ..Self::default()
                    },
                    (false, _) => Self {
                        matrix,
                        ..Self::default()
                    },
                })
            }
            Format::Parquet => {
                let table = parse_parquet(bytes, with_labels)?;
                let (labels, without_labels) = match table.labels {
                    Some(Ok(labels)) => (Some(labels), None),
                    Some(Err(reason)) => (None, Some(reason)),
                    None => (None, None),
                };
                Ok(Self {
                    matrix: table.matrix,
                    labels,
                    without_labels,
                    paths: table.paths,
                })
            }
            Format::Safetensors => Self::of_tensors(&TensorFile::parse(&bytes)?, with_labels),
        }
    }

    fn of_tensors(file: &TensorFile<'_>, with_labels: bool) -> Result<Self, String> {
        let mut contents = Self {
            matrix: file.embeddings()?.matrix()?,
            paths: file.paths(),
            ..Self::default()
        };
        if with_labels {
            match file.labels()? {
                Ok(labels) => {
                    let mut labels = labels.labels()?;
                    labels.classes = file.classes()?.or(labels.classes);
                    contents.labels = Some(labels);
                }
                Err(reason) => contents.without_labels = Some(reason),
            }
        }
        Ok(contents)
    }

    /// Returns the labels of a whole file of labels: a list in `.npy`, or those of a file of embeddings, with the
    /// names of its images.
    ///
    /// # Errors
    /// The difference from the format, with what to do.
    pub(super) fn labels_of(format: Format, bytes: Vec<u8>) -> Result<Labels, String> {
        match format {
            Format::Npy => parse_npy("the array", &bytes)?.labels(),
            _ => {
                let contents = Self::parse(format, bytes, true)?;
                let reason = contents.without_labels.unwrap_or_default();
                let labels = contents.labels.ok_or(reason)?;
                Ok(Labels {
                    paths: contents.paths,
                    ..labels
                })
            }
        }
    }
}
