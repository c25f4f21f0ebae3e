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

    #[cfg(unix)]
    #[test]
    fn endless_file_is_refused() {
        let error = read_at_most(Path::new("/dev/zero"), MIB).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
