//! The file: a header, an index with size and checksum of each resize, and the pixels, all little-endian.
//!
//! ```text
//! magic 8 · key 64 · number of entries u64 · checksum of the index u32 · entries of the index · pixels
//! ```
//!
//! An entry is width, height and checksum, u32 each; its pixels are width × height × 3 bytes, behind
//! those of the entry before. An image that could not be read has entries of width and height 0.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::CacheSpec;
use crate::cancellation::CancellationToken;
use crate::data::parallel::in_parallel_until;
use crate::data::{DataError, Split};

/// Starts the file; the digit is the format's version.
pub(super) const MAGIC: &[u8; 8] = b"loopdml1";
/// Raised whenever another release would decode or resize to other bytes.
const PIXELS_VERSION: u32 = 1;
/// Hexadecimal digits of a SHA-256.
const KEY_LENGTH: usize = 64;
/// Bytes before the index.
pub(super) const HEADER: usize = MAGIC.len() + KEY_LENGTH + 8 + 4;
/// Bytes of an entry of the index.
pub(super) const ENTRY: usize = 12;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// Header or index.
    Header,
    /// The file is longer or shorter than its index says.
    Length,
    /// An image has another checksum.
    Pixels,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "its header is not as it should be",
            Self::Length => "it has another length than it should have",
            Self::Pixels => "an image in it has another checksum",
        })
    }
}

/// A resize in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) checksum: u32,
    /// Where its pixels are.
    pub(super) range: Range<usize>,
}

/// What is where.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads the index of a file that should have this key and number of entries.
    pub(super) fn read(bytes: &[u8], key: &str, entries: usize) -> Result<Self, Damage> {
        let start = HEADER + entries * ENTRY;
        let header = bytes.get(..HEADER).ok_or(Damage::Length)?;
        let index = bytes.get(HEADER..start).ok_or(Damage::Length)?;
        if header != self::header(key, entries, index) {
            return Err(Damage::Header);
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
                end += width as usize * height as usize * 3;
                Entry {
                    width,
                    height,
                    checksum,
                    range: start..end,
                }
            })
            .collect();
        match end == bytes.len() {
            true => Ok(Self { entries }),
            false => Err(Damage::Length),
        }
    }

    /// The entry, unless it is of an image that could not be read.
    pub(super) fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place).filter(|entry| entry.width > 0)
    }

    /// Compares every checksum.
    pub(super) fn check(
        &self,
        bytes: &[u8],
        workers: usize,
        cancellation: &CancellationToken,
    ) -> Result<Result<(), Damage>, DataError> {
        let right = in_parallel_until(cancellation, workers, self.entries.len(), |i| {
            let entry = &self.entries[i];
            crc32fast::hash(&bytes[entry.range.clone()]) == entry.checksum
        })?;
        Ok(match right.into_iter().all(|right| right) {
            true => Ok(()),
            false => Err(Damage::Pixels),
        })
    }
}

/// The bytes before the index.
pub(super) fn header(key: &str, entries: usize, index: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(key.as_bytes());
    header.extend_from_slice(&(entries as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(index).to_le_bytes());
    header
}

/// The hash of all that the contents depend on, in hexadecimal.
pub(super) fn key(split: &Split, spec: &CacheSpec) -> Result<String, DataError> {
    let mut hash = Sha256::new();
    let settings = (PIXELS_VERSION, spec.resizes, spec.min_side);
    hash.update(format!("{settings:?}\n"));
    let stamps = in_parallel_until(
        spec.cancellation,
        spec.workers,
        split.labels().len(),
        |image| stamp(split, image),
    )?;
    for (image, stamp) in stamps.into_iter().enumerate() {
        hash.update(format!("{:?} {}\n", split.image_name(image), stamp?));
    }
    let digits = hash.finalize();
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What changes when an image's file is changed: its length and time of change.
fn stamp(split: &Split, image: usize) -> Result<String, DataError> {
    let Some(path) = split.path(image) else {
        return Ok(String::new());
    };
    let unreadable = |error: std::io::Error| DataError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let changed = metadata.modified().map_err(unreadable)?;
    let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {}", metadata.len(), since.as_nanos()))
}
