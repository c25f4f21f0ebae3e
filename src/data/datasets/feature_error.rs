//! What can be wrong with files of features.

use std::path::PathBuf;

use thiserror::Error;

/// Files of features that cannot be used.
///
/// Causes are kept as text, so that the error can be cloned and sent between threads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeatureError {
    /// There is no such file.
    #[error("{0}")]
    Missing(String),
    /// A file cannot be read, or has no embeddings or labels.
    #[error("{0}")]
    File(String),
    /// The folder has no file of a split.
    #[error(
        "data.root {} has no file {split}.safetensors, {split}.npy, {split}.npz or {split}.parquet; give a folder with \
         a file train and a file test, or one file, whose classes are divided", root.display()
    )]
    MissingSplit {
        /// The folder.
        root: PathBuf,
        /// `train` or `test`.
        split: &'static str,
    },
    /// The folder has several files of a split.
    #[error("{} and {} are both the {split} split; remove one of them", first.display(), second.display())]
    SeveralFiles {
        /// `train` or `test`.
        split: &'static str,
        /// A file.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// The rows of the two files have different lengths.
    #[error(
        "the rows of {} have {train_dim} numbers, and those of {} have {test_dim}; compute both with the same model",
        train.display(), test.display()
    )]
    Lengths {
        /// The file of the training split.
        train: PathBuf,
        /// The length of its rows.
        train_dim: usize,
        /// The file of the test split.
        test: PathBuf,
        /// The length of its rows.
        test_dim: usize,
    },
    /// The classes of one file have names, and those of the other have numbers.
    #[error(
        "the labels of {} are names, and those of {} are numbers; give both files names, or both numbers, so that no \
         class is in both splits", names.display(), numbers.display()
    )]
    NamesAndNumbers {
        /// The file with names.
        names: PathBuf,
        /// The file with numbers.
        numbers: PathBuf,
    },
}
