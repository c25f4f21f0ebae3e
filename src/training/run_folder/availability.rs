//! Whether a run can be written to a folder, found out without leaving anything in it.

use std::path::{Path, PathBuf};

use super::error::file_error;
use super::lock::RunLock;
use super::{ARTIFACTS, RunFolder, RunFolderError};
use crate::free_space::nearest_existing;

impl RunFolder {
    /// Checks that a new run can be created in `path`, or in the first of `artifacts/NAME-1`,
    /// `artifacts/NAME-2`, … that does not exist. Returns the folder, which is not created.
    ///
    /// # Errors
    ///
    /// If `path` exists and is not an empty folder, is in use by another process, or cannot be written.
    pub fn check_new(path: Option<&Path>, name: &str) -> Result<PathBuf, RunFolderError> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => {
                let numbered = |number| Path::new(ARTIFACTS).join(format!("{name}-{number}"));
                let mut paths = (1_u64..).map(numbered);
                let free = paths.find(|path| path.symlink_metadata().is_err());
                free.expect("some number is free")
            }
        };
        Self::check_free(&path)?;
        RunLock::check_free(&path)?;
        check_writable(&path)?;
        Ok(path)
    }

    /// Checks that this process can train in the folder of a run.
    ///
    /// # Errors
    ///
    /// If another process trains in it, or it cannot be written.
    pub(in crate::training) fn check_available(&self) -> Result<(), RunFolderError> {
        RunLock::check_free(&self.path)?;
        check_writable(&self.path)
    }

    /// Returns the bytes of the run's checkpoints.
    pub(in crate::training) fn checkpoint_bytes_on_disk(&self) -> u64 {
        let entries = std::fs::read_dir(self.checkpoint_folder());
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .sum()
    }
}

/// Checks that files can be created in `path`, or in the nearest folder above it that exists. The file that is
/// created has no name, or is removed at once.
fn check_writable(path: &Path) -> Result<(), RunFolderError> {
    let folder = nearest_existing(path).unwrap_or(path);
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(file_error("write", folder)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_created() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/run");
        assert_eq!(RunFolder::check_new(Some(&path), "x").unwrap(), path);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        fs::create_dir_all(&path).unwrap();
        assert_eq!(RunFolder::check_new(Some(&path), "x").unwrap(), path);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn used_names_files_and_locked_folders_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        let check = || RunFolder::check_new(Some(&path), "x");
        fs::create_dir(&path).unwrap();
        let lock = RunLock::acquire(&path).unwrap();
        assert!(matches!(check(), Err(RunFolderError::Locked { .. })));
        drop(lock);
        assert!(check().is_ok());
        fs::write(path.join("thesis.txt"), "precious").unwrap();
        assert!(matches!(check(), Err(RunFolderError::Exists { .. })));
        let below = path.join("thesis.txt/run");
        assert!(matches!(
            RunFolder::check_new(Some(&below), "x"),
            Err(RunFolderError::File { .. })
        ));
    }
}
