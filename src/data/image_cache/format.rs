//! The file format: a header, an index with size and checksum of each image, and the pixels. All numbers
//! are little-endian.
//!
//! ```text
//! magic 8 · key 64 · number of entries u64 · checksum of the index u32 · entries of the index · pixels
//! ```
//!
//! An entry is width, height and checksum, u32 each. Its pixels are width × height × 3 bytes and follow
//! those of the entry before. The entries of an image that could not be read have width and height 0.

use std::ops::Range;
use std::{fmt, io};

use super::cache_file::CacheFile;
use super::error::CacheError;
use crate::data::parallel::in_parallel_until;
use crate::progress::{Monitor, Unit};

/// Starts the file. The digit is the format's version.
pub(super) const MAGIC: &[u8; 8] = b"loopdml1";
/// Hexadecimal digits of a SHA-256.
const KEY_LENGTH: usize = 64;
/// Bytes before the index.
pub(super) const HEADER: usize = MAGIC.len() + KEY_LENGTH + 8 + 4;
/// Bytes of an entry of the index.
pub(super) const ENTRY: usize = 12;

/// Why a cache file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// The header or the index is wrong.
    Header,
    /// The file is longer or shorter than its index states.
    Length,
    /// The checksum of an image is wrong.
    Pixels,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "wrong header",
            Self::Length => "wrong length",
            Self::Pixels => "wrong checksum of an image",
        })
    }
}

/// A resized image in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) checksum: u32,
    /// Bytes of the file that hold its pixels.
    pub(super) range: Range<u64>,
}

impl Entry {
    /// Reads the pixels and verifies their checksum.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(&self, file: &CacheFile) -> io::Result<Result<Vec<u8>, Damage>> {
        match file.read(&self.range) {
            Ok(bytes) if crc32fast::hash(&bytes) == self.checksum => Ok(Ok(bytes)),
            Ok(_) => Ok(Err(Damage::Pixels)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Damage::Length)),
            Err(error) => Err(error),
        }
    }
}

/// The entries of a cache file.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads the index of a file with the expected key and number of entries.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(
        file: &CacheFile,
        key: &str,
        entries: usize,
    ) -> io::Result<Result<Self, Damage>> {
        let start = (HEADER + entries * ENTRY) as u64;
        if file.length() < start {
            return Ok(Err(Damage::Length));
        }
        let bytes = file.read(&(0..start))?;
        let (header, index) = bytes.split_at(HEADER);
        if header != self::header(key, entries, index) {
            return Ok(Err(Damage::Header));
        }
        let mut end = start;
        let entries = index
            .chunks_exact(ENTRY)
            .map(|entry| {
                let number = |i: usize| {
                    let bytes = entry[4 * i..][..4].try_into();
                    u32::from_le_bytes(bytes.expect("four bytes"))
                };
                let (width, height, checksum) = (number(0), number(1), number(2));
                let start = end;
                let pixels = u64::from(width) * u64::from(height);
                end = end.saturating_add(pixels.saturating_mul(3));
                Entry {
                    width,
                    height,
                    checksum,
                    range: start..end,
                }
            })
            .collect();
        Ok(match end == file.length() {
            true => Ok(Self { entries }),
            false => Err(Damage::Length),
        })
    }

    /// Returns an entry, or `None` if its image could not be read.
    pub(super) fn entry(&self, position: usize) -> Option<&Entry> {
        self.entries.get(position).filter(|entry| entry.width > 0)
    }

    /// Verifies every checksum.
    ///
    /// # Errors
    /// If the file cannot be read, or the work is cancelled.
    pub(super) fn check(
        &self,
        file: &CacheFile,
        workers: usize,
        monitor: Monitor<'_>,
    ) -> Result<Result<(), Damage>, CacheError> {
        let count = self.entries.len();
        let task = monitor.task("checking the image cache", Some(count), Unit::Images);
        let read = in_parallel_until(&task, workers, count, |i| {
            let pixels = self.entries[i].read(file)?;
            Ok(pixels.map(drop))
        })?;
        task.finish();
        let unreadable = |error: io::Error| CacheError::unreadable(file.path(), &error);
        for image in read {
            if let Err(damage) = image.map_err(unreadable)? {
                return Ok(Err(damage));
            }
        }
        Ok(Ok(()))
    }
}

/// Returns the bytes before the index.
pub(super) fn header(key: &str, entries: usize, index: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(key.as_bytes());
    header.extend_from_slice(&(entries as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(index).to_le_bytes());
    header
}
