//! Free space of disks.

use std::path::Path;

/// Returns the bytes that this process may still write to the disk of `path`, or of its nearest folder
/// that exists. `None` if they are unknown: quotas are not considered, and some file systems report no
/// size.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let existing = nearest_existing(path)?;
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(existing).ok()?;
        // A disk without a size, such as a tmpfs without a limit.
        (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        None
    }
}

/// Returns whether two paths, or their nearest folders that exist, are on one disk. Unknown counts as one
/// disk.
pub(crate) fn same_disk(a: &Path, b: &Path) -> bool {
    let device = |path: &Path| -> Option<u64> {
        let metadata = nearest_existing(path)?.metadata().ok()?;
        #[cfg(unix)]
        {
            Some(std::os::unix::fs::MetadataExt::dev(&metadata))
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            None
        }
    };
    match (device(a), device(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// Returns `path` if it exists, else the nearest folder above it that does.
pub(crate) fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors()
        .map(|ancestor| match ancestor.as_os_str().is_empty() {
            true => Path::new("."),
            false => ancestor,
        })
        .find(|ancestor| ancestor.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_folder_of_a_relative_path_is_the_working_directory() {
        let relative = Path::new("no-such-folder/run");
        assert_eq!(nearest_existing(relative), Some(Path::new(".")));
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        assert_eq!(nearest_existing(&missing), Some(folder.path()));
    }

    #[cfg(unix)]
    #[test]
    fn space_shrinks_by_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        assert!(free_bytes(&path).is_some_and(|bytes| bytes > 0));
        assert!(same_disk(&path, folder.path()));
        assert!(!same_disk(&path, Path::new("/proc/self")));
    }
}
