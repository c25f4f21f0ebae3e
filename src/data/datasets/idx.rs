//! IDX files, the format of MNIST: a number that states type and number of dimensions D, the D sizes,
//! all big-endian 32 bit, and the bytes.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use thiserror::Error;

use crate::bounded_read::GIB;

/// Start of an IDX file of bytes in three dimensions: images, rows, columns.
pub(super) const IMAGES_MAGIC: u32 = 0x0803;
/// Start of an IDX file of bytes in one dimension.
pub(super) const LABELS_MAGIC: u32 = 0x0801;

/// The most bytes of an IDX file after decompression. The largest one of the MNIST family has 640 MB.
const MAXIMUM_BYTES: u64 = 2 * GIB;
/// The most bytes that gzip makes of one byte.
const MAXIMUM_RATIO: u64 = 1032;

/// An IDX file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdxError {
    /// The file does not exist.
    #[error("{} is missing; {hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Where to get it.
        hint: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {reason}; check that it exists and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// The file ends before its contents do.
    #[error("{} is truncated; copy or download it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The file starts with the number of another kind of file.
    #[error(
        "{} starts with {found:#010x} instead of {expected:#010x}, so it is not an IDX file of {kind}; \
         download it again and check that the four files have not been swapped",
        path.display()
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// `images` or `labels`.
        kind: &'static str,
        /// The number of an IDX file of this kind.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The length of the file contradicts its header.
    #[error(
        "{} has {found} bytes, but its header states {expected}; download it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes by the header, after decompression.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The header states more bytes than are read.
    #[error(
        "{} has {stated} bytes by its header, but at most 2 GiB are read; download it again",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes by the header, after decompression.
        stated: u64,
    },
    /// The files of images and labels have different numbers of entries.
    #[error(
        "{} has {images} images, but {} has {labels} labels; use files of the same release",
        image_path.display(), label_path.display()
    )]
    Count {
        /// The file of images.
        image_path: PathBuf,
        /// The file of labels.
        label_path: PathBuf,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// The images have width or height 0.
    #[error("{} has images without pixels; replace it", path.display())]
    NoPixels {
        /// The file.
        path: PathBuf,
    },
}

impl IdxError {
    fn read(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated { path: path.into() },
            _ => Self::Unreadable {
                path: path.into(),
                reason: error.to_string(),
            },
        }
    }
}

/// The contents of an IDX file of bytes in D dimensions.
pub(super) struct IdxFile<const D: usize> {
    pub(super) path: PathBuf,
    pub(super) sizes: [u32; D],
    pub(super) bytes: Vec<u8>,
}

impl<const D: usize> IdxFile<D> {
    /// Reads the IDX file `name` or `name.gz` in `folder`. `kind` is `images` or `labels`, `hint` says
    /// where to get the file.
    ///
    /// # Errors
    /// If the file does not exist, cannot be read, has another kind or length, or is larger than 2 GiB.
    pub(super) fn read(
        folder: &Path,
        name: &str,
        (kind, magic): (&'static str, u32),
        hint: &'static str,
    ) -> Result<Self, IdxError> {
        let (plain, zipped) = (folder.join(name), folder.join(format!("{name}.gz")));
        let path = [zipped, plain.clone()]
            .into_iter()
            .find(|path| path.is_file());
        let Some(path) = path else {
            return Err(IdxError::Missing { path: plain, hint });
        };
        let unreadable = |error| IdxError::read(&path, &error);
        let file = File::open(&path).map_err(unreadable)?;
        let stored = file.metadata().map_err(unreadable)?.len();
        let file = BufReader::new(file);
        match path.extension() {
            Some(extension) if extension == "gz" => {
                let most = stored.saturating_mul(MAXIMUM_RATIO);
                Self::parse(path, GzDecoder::new(file), most, (kind, magic))
            }
            _ => Self::parse(path, file, stored, (kind, magic)),
        }
    }

    /// Parses the contents of the file `path`, which are at most `available` bytes.
    ///
    /// # Errors
    /// As [`IdxFile::read`].
    pub(super) fn parse(
        path: PathBuf,
        mut file: impl Read,
        available: u64,
        (kind, magic): (&'static str, u32),
    ) -> Result<Self, IdxError> {
        let unreadable = |error| IdxError::read(&path, &error);
        let mut next_u32 = || {
            let mut bytes = [0; 4];
            file.read_exact(&mut bytes)
                .map(|()| u32::from_be_bytes(bytes))
        };
        let found = next_u32().map_err(unreadable)?;
        if found != magic {
            return Err(IdxError::Magic {
                path,
                kind,
                expected: magic,
                found,
            });
        }
        let mut sizes = [0; D];
        for size in &mut sizes {
            *size = next_u32().map_err(unreadable)?;
        }
        let header = 4 * (1 + D as u64);
        let stated = sizes.iter().fold(1_u64, |product, &size| {
            product.saturating_mul(u64::from(size))
        });
        if stated > MAXIMUM_BYTES {
            return Err(IdxError::TooLarge { path, stated });
        }
        // A header may state more than the file contains.
        let mut bytes = Vec::with_capacity(stated.min(available) as usize + 1);
        // Reads one byte more than stated, to detect a file that is too long.
        file.take(stated + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 != stated {
            return Err(IdxError::Length {
                path,
                expected: header + stated,
                found: header + bytes.len() as u64,
            });
        }
        Ok(Self { path, sizes, bytes })
    }
}
