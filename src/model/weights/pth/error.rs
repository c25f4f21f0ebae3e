//! Errors of `.pth` files.

use std::io;

/// Why a `.pth` file could not be read. The messages are reasons, to be put after the file's name.
#[derive(Debug, thiserror::Error)]
pub(in crate::model::weights) enum PthError {
    /// The file cannot be read, or ends early.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// The zip archive is damaged or lacks an entry.
    #[error("{0}")]
    Archive(#[from] zip::result::ZipError),
    /// An instruction that state dictionaries do not need.
    #[error("it contains Python objects other than tensors")]
    Instruction(u8),
    /// The pickle is inconsistent, or exceeds a limit that no checkpoint reaches.
    #[error("it is damaged")]
    Damaged,
    /// The file ends before its storages do.
    #[error("it is truncated: its tensors need {needed} bytes, and it has {found}")]
    Truncated {
        /// Bytes up to the end of the storages.
        needed: u64,
        /// Bytes in the file or in the storage.
        found: u64,
    },
    /// A storage of the old format whose type is not known, so that the next one cannot be found.
    #[error("its storage {0} has a type that is not supported")]
    StorageType(String),
    /// A shape, strides or an offset outside of the storage.
    #[error("a tensor is larger than its stored data")]
    Bounds,
    /// The numbers have the other byte order.
    #[error("it was saved on a big-endian machine")]
    BigEndian,
}
