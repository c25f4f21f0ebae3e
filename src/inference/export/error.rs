//! The errors of exported embedders.

use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;
use crate::config::ConfigError;
use crate::model::weights::format_list;

/// An embedder cannot be exported, or an exported one cannot be read.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The output file does not end in `.safetensors`.
    #[error("cannot export to {}: the name does not end in .safetensors", path.display())]
    Name {
        /// The output file.
        path: PathBuf,
    },
    /// An output file cannot be written.
    #[error(transparent)]
    Output(#[from] AtomicFileError),
    /// The file cannot be read, or is damaged.
    #[error(
        "cannot read {} as safetensors ({reason}): it is truncated, or another kind of file; export \
         or copy it again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        reason: String,
    },
    /// The safetensors file is not an exported embedder.
    #[error(
        "{} is not an exported embedder: its metadata does not describe a network; create one with \
         loop-dml export RUN --output FILE.safetensors, or pass backbone weights with --backbone NAME \
         --weights FILE",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The export has another format.
    #[error(
        "{} is an export of format {found}, but this loop-dml reads format {known}; use the version \
         that wrote it ({writer})",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u64,
        /// The format of this version.
        known: u64,
        /// The version that wrote the file, or `unknown`.
        writer: String,
    },
    /// The metadata is damaged.
    #[error("the metadata of {} is invalid ({reason}); export it again with this version", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        reason: String,
    },
    /// The metadata is only valid in the version that wrote it.
    #[error(
        "the metadata of {} is invalid ({reason}): the file was written by loop-dml {writer}, this is \
         {own}; use the version that wrote it, or export again with this one",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        reason: String,
        /// The version that wrote the file.
        writer: String,
        /// This version.
        own: &'static str,
    },
    /// The network or the preprocessing in the metadata is invalid.
    #[error("the metadata of {}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The invalid key.
        source: ConfigError,
    },
    /// Tensors of the network are missing in the file.
    #[error("{} lacks {} of its network's tensors: {}; export it again", path.display(), names.len(), format_list(names))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The file has tensors that its network does not have.
    #[error("{} has {} tensors that its network does not have: {}; export it again", path.display(), names.len(), format_list(names))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A tensor has an infinite value or NaN.
    #[error(
        "the tensor {name} of {} has an infinite value or NaN; export another checkpoint",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape or type than the network's.
    #[error("{}: {name} is {found}, but its network needs F32 {expected:?}; export it again", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// The tensor's type and shape.
        found: String,
        /// The network's shape.
        expected: Vec<usize>,
    },
}
