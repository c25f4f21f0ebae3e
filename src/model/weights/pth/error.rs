//! Errors of `.pth` files.

use std::io::{self, ErrorKind};

use zip::result::ZipError;

use crate::shorten::shorten;

/// Why a `.pth` file could not be read. The messages are reasons, to be put after the file's name.
#[derive(Debug, thiserror::Error)]
pub(in crate::model::weights) enum PthError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(io::Error),
    /// The pickle ends early.
    #[error("it is truncated: it ends inside of its description; download or copy it again")]
    Ends,
    /// An entry of the zip archive is missing or damaged.
    #[error("{0}; download or copy it again")]
    Archive(ZipError),
    /// A part of the zip archive differs from its checksum.
    #[error("its data is damaged ({0}); download or copy it again")]
    Checksum(io::Error),
    /// The zip archive is compressed or encrypted.
    #[error(
        "its archive has a feature that PyTorch does not write ({0}); save it again with torch.save"
    )]
    ArchiveFeature(&'static str),
    /// The zip archive has no directory.
    #[error(
        "it is truncated: the directory at the end of the archive is missing; download or copy it \
         again"
    )]
    TruncatedArchive,
    /// A zip archive of other files, with the name of the first one.
    #[error(
        "it is a zip archive without tensors of PyTorch (its first file is `{}`); extract it, and use \
         the weights file in it",
        shorten(.0)
    )]
    OtherArchive(String),
    /// A zip archive of NumPy arrays.
    #[error(
        "it is an archive of NumPy arrays; convert it with \
         torch.save({{name: torch.as_tensor(array) for name, array in \
         numpy.load(FILE).items()}}, \"weights.pth\")"
    )]
    NumpyArchive,
    /// A TorchScript program.
    #[error(
        "it is a TorchScript program; save its tensors with \
         torch.save(torch.jit.load(FILE).state_dict(), \"weights.pth\")"
    )]
    TorchScript,
    /// A pickle that `torch.save` did not write.
    #[error(
        "it is a Python pickle that torch.save did not write; convert it with \
         torch.save({{name: torch.as_tensor(array) for name, array in \
         pickle.load(open(FILE, \"rb\")).items()}}, \"weights.pth\")"
    )]
    OtherPickle,
    /// A pickle of protocol 0.
    #[error(
        "it was saved with pickle protocol 0, which PyTorch does not load either; save it again with \
         torch.save's default"
    )]
    ProtocolZero,
    /// The pickle is one tensor or array.
    #[error(
        "it is a single tensor, not the tensors of a network by their names; save these with \
         torch.save(model.state_dict(), \"weights.pth\")"
    )]
    SingleTensor,
    /// The pickle is an object, with its class.
    #[error(
        "it is a whole pickled object of the class {}, which only its Python code can read; save its \
         tensors with torch.save(model.state_dict(), \"weights.pth\")",
        shorten(.0)
    )]
    WholeModel(String),
    /// An instruction that no pickle has.
    #[error("it is damaged: {0:#04x} is not an instruction of a pickle; download or copy it again")]
    Instruction(u8),
    /// The pickle is inconsistent, or exceeds a limit that no checkpoint reaches.
    #[error(
        "it is damaged, or exceeds the limits on .pth files; save only the network with \
         torch.save(model.state_dict(), \"weights.pth\")"
    )]
    Damaged,
    /// The file ends before its storages do.
    #[error(
        "it is truncated: its tensors need {needed} bytes, and it has {found}; download or copy it \
         again"
    )]
    Truncated {
        /// Bytes up to the end of the storages.
        needed: u64,
        /// Bytes in the file or in the storage.
        found: u64,
    },
    /// A storage of the old format whose type is not known, so that the next one cannot be found.
    #[error("its storage {} has a type that is not supported", shorten(.0))]
    StorageType(String),
    /// A shape, strides or an offset outside of the storage.
    #[error("a tensor is larger than its stored data")]
    Bounds,
    /// The numbers have the other byte order.
    #[error("it was saved on a big-endian machine; load it there, and save it as .safetensors")]
    BigEndian,
}

impl From<ZipError> for PthError {
    fn from(error: ZipError) -> Self {
        match error {
            // The directory is at the end of an archive.
            ZipError::InvalidArchive(_) => Self::TruncatedArchive,
            ZipError::UnsupportedArchive(feature) => Self::ArchiveFeature(feature),
            error => Self::Archive(error),
        }
    }
}

impl From<io::Error> for PthError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Ends,
            ErrorKind::InvalidData => Self::Checksum(error),
            _ => Self::Read(error),
        }
    }
}
