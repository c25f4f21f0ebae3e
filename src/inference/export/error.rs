//! What can be wrong with an exported embedder, each with its mend.

use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;
use crate::config::ConfigError;
use crate::model::weights::listed;

/// A mistake about an exported embedder.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The name to export to does not end in `.safetensors`.
    #[error("{} does not end in .safetensors, which is what an embedder is exported as: name it so", path.display())]
    Name {
        /// The name given.
        path: PathBuf,
    },
    /// A file cannot be made.
    #[error(transparent)]
    NewFile(#[from] AtomicFileError),
    /// The file cannot be read, or is damaged.
    #[error(
        "{} cannot be read as safetensors ({reason}): it is another kind of file, or cut off; export \
         it or copy it again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A safetensors file of another origin.
    #[error(
        "{} is no exported embedder, its metadata does not say what network it is of: write one with \
         loop-dml export RUN --output FILE.safetensors, or give mere backbone weights with \
         --backbone NAME --weights FILE",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// An export in another format.
    #[error(
        "{} is an export of format {found}, and this loop-dml reads format {known}: use the version \
         that wrote it ({writer})",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format known here.
        known: u64,
        /// The version that wrote it, as far as the file says.
        writer: String,
    },
    /// The description in the metadata is damaged, or of a network that this version does not have.
    #[error("the metadata of {} cannot be used ({reason}): export it again with this version", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The description in the metadata has what only the version that wrote it knows.
    #[error(
        "the metadata of {} cannot be used ({reason}): the file was written by loop-dml {writer}, \
         this is {own}; use the version that wrote it, or export again with this one",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What is not understood.
        reason: String,
        /// The version that wrote it.
        writer: String,
        /// This version.
        own: &'static str,
    },
    /// The description in the metadata is of a network or of images that cannot be.
    #[error("the metadata of {}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// Tensors of the network are not in the file.
    #[error("{} lacks {} of its network's tensors: {}; export it again", path.display(), names.len(), listed(names))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The file has tensors that its network does not have.
    #[error("{} has {} tensors that its network does not have: {}; export it again", path.display(), names.len(), listed(names))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A tensor has another shape or type than the network's.
    #[error("{}: {name} is {found} where its network needs F32 {expected:?}; export it again", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Its type and shape.
        found: String,
        /// The shape needed.
        expected: Vec<usize>,
    },
}
