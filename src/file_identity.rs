//! Whether a path still names an open file.

use std::fs::File;
use std::io;
use std::path::Path;

/// Returns whether `path` is the file that is open as `file`, and not removed, moved or replaced.
///
/// # Errors
/// If the open file cannot be examined. A path that cannot be examined is another file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let held = identity(file.metadata()?);
    Ok(path.metadata().is_ok_and(|found| identity(found) == held))
}

/// Other systems do not remove or move a file that is open.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
    Ok(path.exists())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn moved_replaced_and_removed_files_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        assert!(is_at(&file, &moved).unwrap());
        std::fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path).unwrap());
        std::fs::remove_file(&moved).unwrap();
        assert!(!is_at(&file, &moved).unwrap());
    }
}
