//! The formats of output files, by their extensions.

use std::path::Path;

use super::error::EmbeddingFileError;

/// The format of a file of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmbeddingFormat {
    Safetensors,
    Npy,
    Parquet,
}

/// The format of a file of one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatrixFormat {
    Safetensors,
    Npy,
}

impl EmbeddingFormat {
    /// Returns the format that the extension of `path` names, in either case.
    ///
    /// # Errors
    /// If it is another extension.
    pub(super) fn of(path: &Path) -> Result<Self, EmbeddingFileError> {
        let known = [
            ("safetensors", Self::Safetensors),
            ("npy", Self::Npy),
            ("parquet", Self::Parquet),
        ];
        by_extension(path, known, ".safetensors, .npy or .parquet")
    }
}

impl MatrixFormat {
    /// Returns the format that the extension of `path` names, in either case.
    ///
    /// # Errors
    /// If it is another extension.
    pub(super) fn of(path: &Path) -> Result<Self, EmbeddingFileError> {
        let known = [("safetensors", Self::Safetensors), ("npy", Self::Npy)];
        by_extension(path, known, ".safetensors or .npy")
    }
}

fn by_extension<T, const N: usize>(
    path: &Path,
    known: [(&str, T); N],
    list: &'static str,
) -> Result<T, EmbeddingFileError> {
    let extension = path.extension().unwrap_or_default();
    let mut known = known.into_iter();
    let found = known.find(|(name, _)| extension.eq_ignore_ascii_case(name));
    let unknown = || EmbeddingFileError::Extension {
        path: path.into(),
        known: list,
    };
    found.map(|(_, format)| format).ok_or_else(unknown)
}
