//! Reading files that may be larger than any real one, or that never end, such as `/dev/zero`.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// 1 MiB in bytes.
pub(crate) const MIB: u64 = 1 << 20;
/// 1 GiB in bytes.
pub(crate) const GIB: u64 = 1 << 30;

/// Returns the contents of the file `path`, which has at most `limit` bytes.
///
/// # Errors
/// If it cannot be read. If it is larger, the kind is [`ErrorKind::FileTooLarge`], and the message states
/// the limit.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // The length of a pipe or a device is not known.
    if metadata.is_file() && metadata.len() > limit {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(limit) as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= limit {
        true => Ok(bytes),
        false => Err(too_large(limit)),
    }
}

/// An open file whose first bytes were read, so that its format is known before the rest is read.
#[derive(Debug)]
pub(crate) struct StartedFile {
    file: File,
    start: Vec<u8>,
    /// The length; `None` for a pipe or a device.
    length: Option<u64>,
}

impl StartedFile {
    /// The most bytes of the start.
    const START: usize = 4096;

    /// Opens the file and reads its start.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut start = Vec::new();
        file.by_ref()
            .take(Self::START as u64)
            .read_to_end(&mut start)?;
        Ok(Self {
            file,
            start,
            length: metadata.is_file().then_some(metadata.len()),
        })
    }

    /// Returns the first 4 KiB, or all bytes of a smaller file.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Returns the contents, which have at most `limit` bytes.
    ///
    /// # Errors
    /// As [`read_at_most()`].
    pub(crate) fn read_at_most(self, limit: u64) -> io::Result<Vec<u8>> {
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let mut bytes = self.start;
        let missing = (self.length.unwrap_or(0) as usize).saturating_sub(bytes.len());
        bytes.try_reserve_exact(missing).map_err(io::Error::other)?;
        let rest = (limit + 1).saturating_sub(bytes.len() as u64);
        self.file.take(rest).read_to_end(&mut bytes)?;
        match bytes.len() as u64 <= limit {
            true => Ok(bytes),
            false => Err(too_large(limit)),
        }
    }
}

fn too_large(limit: u64) -> io::Error {
    let message = format!("it is larger than {}, the most that is read", size(limit));
    io::Error::new(ErrorKind::FileTooLarge, message)
}

/// Returns a number of bytes in the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes.is_multiple_of(GIB) => format!("{} GiB", bytes / GIB),
        bytes if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        bytes if bytes.is_multiple_of(1024) => format!("{} KiB", bytes / 1024),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_up_to_the_limit_are_read_and_larger_ones_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 1024]).unwrap();
        assert_eq!(read_at_most(&path, 1024).unwrap(), vec![7; 1024]);
        std::fs::write(&path, vec![7; 1025]).unwrap();
        let error = read_at_most(&path, 1024).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(
            error.to_string(),
            "it is larger than 1 KiB, the most that is read"
        );
    }

    #[test]
    fn start_of_a_file_is_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 10, StartedFile::START, 3 * StartedFile::START + 1] {
            let contents: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            std::fs::write(&path, &contents).unwrap();
            let file = StartedFile::open(&path).unwrap();
            assert_eq!(file.start(), &contents[..length.min(StartedFile::START)]);
            assert_eq!(file.read_at_most(length as u64).unwrap(), contents);
            if length > 0 {
                let file = StartedFile::open(&path).unwrap();
                let error = file.read_at_most(length as u64 - 1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn start_of_an_endless_file_is_read() {
        let file = StartedFile::open(Path::new("/dev/zero")).unwrap();
        assert_eq!(file.start(), [0; StartedFile::START]);
        let error = file.read_at_most(MIB).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn endless_file_is_refused() {
        let error = read_at_most(Path::new("/dev/zero"), MIB).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
