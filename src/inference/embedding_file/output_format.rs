//! The formats of output files, by their extensions.

use std::path::Path;

use super::error::EmbeddingFileError;

/// The format of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputFormat {
    Safetensors,
    Npy,
}

impl OutputFormat {
    /// Returns the format that the extension of `path` names, in either case.
    ///
    /// # Errors
    /// If it is another extension.
    pub(super) fn of(path: &Path) -> Result<Self, EmbeddingFileError> {
        let has_extension = |wanted: &str| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
        };
        if has_extension("safetensors") {
            Ok(Self::Safetensors)
        } else if has_extension("npy") {
            Ok(Self::Npy)
        } else {
            Err(EmbeddingFileError::Extension { path: path.into() })
        }
    }
}
