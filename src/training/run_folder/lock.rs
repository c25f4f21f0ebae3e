//! The lock of a run folder: one process trains in it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::RunFolderError;
use super::error::file_error;
use crate::file_identity;

/// The file that is locked. It is empty and stays in the folder; the system releases the lock when the
/// process ends.
pub(super) const LOCK: &str = "lock";

/// The lock of a run folder, released when it is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    file: File,
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
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(RunFolderError::Locked {
                path: run.to_path_buf(),
            }),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "cannot lock {} ({error}); do not train in this folder with another process",
                    path.display()
                );
                Ok(Self { file })
            }
        }
    }
}

impl RunLock {
    /// Checks that no other process has locked the folder `run`. Creates no file.
    ///
    /// # Errors
    /// If another process has locked it, or the lock file cannot be written.
    pub(super) fn check_free(run: &Path) -> Result<(), RunFolderError> {
        let path = path(run);
        let file = match File::options().write(true).open(&path) {
            Ok(file) => file,
            Err(_) if !path.exists() => return Ok(()),
            Err(error) => return Err(file_error("write", &path)(error)),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(RunFolderError::Locked {
                path: run.to_path_buf(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that the folder `run` is still the one that was locked.
    ///
    /// # Errors
    /// If it was removed, moved or replaced.
    pub(super) fn check(&self, run: &Path) -> Result<(), RunFolderError> {
        match file_identity::is_at(&self.file, &path(run)) {
            Ok(true) => Ok(()),
            _ => Err(RunFolderError::Gone {
                path: run.to_path_buf(),
            }),
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

    #[cfg(unix)]
    #[test]
    fn removed_and_replaced_folders_are_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let run = parent.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let lock = RunLock::acquire(&run).unwrap();
        lock.check(&run).unwrap();
        std::fs::rename(&run, parent.path().join("moved")).unwrap();
        assert!(matches!(lock.check(&run), Err(RunFolderError::Gone { .. })));
        std::fs::create_dir(&run).unwrap();
        let _other = RunLock::acquire(&run).unwrap();
        assert!(matches!(lock.check(&run), Err(RunFolderError::Gone { .. })));
    }
}
