//! The lock of a run folder: one process trains in it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::RunFolderError;
use super::error::file_error;

/// The file that is locked. It is empty and stays in the folder; the system releases the lock when the
/// process ends.
pub(super) const LOCK: &str = "lock";

/// The lock of a run folder, released when it is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks the folder `run`.
    ///
    /// # Errors
    /// If another process has locked it, or if the file cannot be created.
    pub(super) fn acquire(run: &Path) -> Result<Self, RunFolderError> {
        let path = path(run);
        let mut options = File::options();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(file_error("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunFolderError::Locked {
                path: run.to_path_buf(),
            }),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "cannot lock {} ({error}); do not train in this folder with another process",
                    path.display()
                );
                Ok(Self { _file: file })
            }
        }
    }
}

/// The path of the lock file of the folder `run`.
pub(super) fn path(run: &Path) -> PathBuf {
    run.join(LOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_locked_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let lock = RunLock::acquire(folder.path()).unwrap();
        assert!(matches!(
            RunLock::acquire(folder.path()),
            Err(RunFolderError::Locked { .. })
        ));
        drop(lock);
        RunLock::acquire(folder.path()).unwrap();
    }
}
