//! The file format: a header, an index with size and checksum of each image, and the pixels. All numbers
//! are little-endian.
//!
//! ```text
//! magic 8 · key 64 · number of entries u64 · checksum of the index u32 · entries of the index · pixels
//! ```
//!
//! An entry is width, height and checksum, u32 each. Its pixels are width × height × 3 bytes and follow
//! those of the entry before. The entries of an image that could not be read have width and height 0.

use std::fmt;
use std::ops::Range;

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
    pub(super) range: Range<usize>,
}

/// The entries of a cache file.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Reads the index of a file with the expected key and number of entries.
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

    /// Returns an entry, or `None` if its image could not be read.
    pub(super) fn entry(&self, position: usize) -> Option<&Entry> {
        self.entries.get(position).filter(|entry| entry.width > 0)
    }

    /// Verifies every checksum.
    pub(super) fn check(
        &self,
        bytes: &[u8],
        workers: usize,
        monitor: Monitor<'_>,
    ) -> Result<Result<(), Damage>, CacheError> {
        let count = self.entries.len();
        let task = monitor.task("checking the image cache", Some(count), Unit::Images);
        let correct = in_parallel_until(&task, workers, count, |i| {
            let entry = &self.entries[i];
            crc32fast::hash(&bytes[entry.range.clone()]) == entry.checksum
        })?;
        task.finish();
        Ok(match correct.into_iter().all(|correct| correct) {
            true => Ok(()),
            false => Err(Damage::Pixels),
        })
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
