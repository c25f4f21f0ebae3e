//! The open file of a cache, read at given positions.
//!
//! Another program may shorten or overwrite the file during a run. Reading then returns an error or other
//! bytes, which their checksum reveals. Reading a memory map would end the process.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An open cache file.
pub(super) struct CacheFile {
    file: File,
    path: PathBuf,
    length: u64,
}

impl CacheFile {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            path: path.into(),
            length,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the length in bytes when the file was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads a range of bytes. Several threads may read at the same time.
    ///
    /// # Errors
    /// If the file cannot be read; [`io::ErrorKind::UnexpectedEof`] if it ends before the range does.
    pub(super) fn read(&self, range: &Range<u64>) -> io::Result<Vec<u8>> {
        if range.end > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        read_exact_at(&self.file, &mut bytes, range.start)?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, start) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                bytes = &mut bytes[read..];
                start += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
