//! The folder of a run that begins.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::file_error;
use super::lock::{self, RunLock};
use super::{ARTIFACTS, CONFIG, METRICS, RECORD, RunFolder, RunFolderError, RunRecord, seal};
use crate::atomic_file;
use crate::config::Config;

/// The folder of a new run. Unless it is [kept](Self::keep) or an epoch was recorded, dropping it removes what
/// it created, so that the name is free again.
#[derive(Debug)]
pub struct NewRunFolder {
    folder: RunFolder,
    /// The folders that were created, the run's last.
    created: Vec<PathBuf>,
    /// Whether the configuration and the record were written.
    begun: Cell<bool>,
    kept: bool,
}

impl NewRunFolder {
    /// Creates and locks the folder of a new run: `path`, or the first of `artifacts/NAME-1`,
    /// `artifacts/NAME-2`, … that does not exist.
    ///
    /// # Errors
    ///
    /// If `path` exists and is not an empty folder, is in use by another process, or cannot be written.
    pub fn create(path: Option<&Path>, name: &str) -> Result<Self, RunFolderError> {
        let (path, created) = match path {
            Some(path) => (path.to_path_buf(), create_folder(path)?),
            None => first_free(Path::new(ARTIFACTS), name)?,
        };
        let lock = match RunLock::acquire(&path) {
            Ok(lock) => lock,
            Err(error) => {
                // They are empty, unless another process has just begun to use them.
                remove_empty(&created);
                return Err(error);
            }
        };
        let folder = RunFolder {
            path,
            lock: Some(Arc::new(lock)),
            other_process: false,
        };
        // Another process may have begun a run before the folder was locked.
        RunFolder::check_free(&folder.path)?;
        Ok(Self {
            folder,
            created,
            begun: Cell::new(false),
            kept: false,
        })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Writes the configuration and the record: the run can be resumed from now on.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn begin(&self, config: &Config, record: &RunRecord) -> Result<RunFolder, RunFolderError> {
        self.begun.set(true);
        self.folder.write_config(config)?;
        self.folder.write_record(record)?;
        Ok(self.folder.clone())
    }

    /// Keeps the folder: the run can be resumed.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewRunFolder {
    fn drop(&mut self) {
        let path = &self.folder.path;
        if self.kept || std::thread::panicking() || path.join(METRICS).exists() {
            return;
        }
        // Another run may be in a folder of this name now.
        if self.folder.check_lock().is_err() {
            return;
        }
        let written: &[&str] = match self.begun.get() {
            true => &[CONFIG, RECORD, lock::LOCK],
            false => &[lock::LOCK],
        };
        for name in written {
            let _ = fs::remove_file(path.join(name));
        }
        remove_empty(&self.created);
    }
}

impl RunFolder {
    /// Checks that a new run can be created in `path`.
    ///
    /// # Errors
    ///
    /// If `path` is a file or a folder that is not empty, or cannot be read.
    pub fn check_free(path: &Path) -> Result<(), RunFolderError> {
        use std::io::ErrorKind::{NotADirectory, NotFound};

        let free = match fs::read_dir(path) {
            Ok(entries) => {
                let entries: Vec<fs::DirEntry> = entries.flatten().collect();
                entries.is_empty() || is_left_over(&entries)
            }
            // A link to something that does not exist is not free.
            Err(error) if error.kind() == NotFound => path.symlink_metadata().is_err(),
            // A file. The file may also be above it, which is another error.
            Err(error) if error.kind() == NotADirectory && path.symlink_metadata().is_ok() => false,
            Err(error) => return Err(file_error("read", path)(error)),
        };
        if free {
            return Ok(());
        }
        Err(RunFolderError::Exists {
            path: path.to_path_buf(),
        })
    }
}

/// Whether the entries of a folder were left by a process that was killed before its run began: at least the
/// lock, and no file of anybody else.
fn is_left_over(entries: &[fs::DirEntry]) -> bool {
    let mut locked = false;
    for entry in entries {
        let name = entry.file_name();
        let ours = if name == lock::LOCK {
            locked = entry.metadata().is_ok_and(|metadata| metadata.len() == 0);
            locked
        } else if name == CONFIG {
            fs::read_to_string(entry.path()).is_ok_and(|text| seal::is_sealed_toml(&text))
        } else {
            [CONFIG, RECORD]
                .iter()
                .any(|file| name == atomic_file::partial_name(file).as_str())
        };
        if !ours {
            return false;
        }
    }
    locked
}

/// Creates the folder `path` and those above it. Returns those that did not exist, `path` last.
fn create_folder(path: &Path) -> Result<Vec<PathBuf>, RunFolderError> {
    RunFolder::check_free(path)?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let mut created = create_all(parent)?;
    match fs::create_dir(path) {
        Ok(()) => created.push(path.to_path_buf()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            remove_empty(&created);
            return Err(file_error("write", path)(error));
        }
    }
    Ok(created)
}

/// Creates the first of `NAME-1`, `NAME-2`, … in `parent` that does not exist. Returns it, and the folders
/// that did not exist.
fn first_free(parent: &Path, name: &str) -> Result<(PathBuf, Vec<PathBuf>), RunFolderError> {
    let mut created = create_all(parent)?;
    for number in 1.. {
        let path = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => {
                created.push(path.clone());
                return Ok((path, created));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                remove_empty(&created);
                return Err(file_error("write", &path)(source));
            }
        }
    }
    unreachable!("some number is free")
}

/// Creates a folder and those above it. Returns those that did not exist, from the top down.
fn create_all(folder: &Path) -> Result<Vec<PathBuf>, RunFolderError> {
    let missing = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && folder.symlink_metadata().is_err());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    missing.reverse();
    fs::create_dir_all(folder).map_err(file_error("write", folder))?;
    Ok(missing)
}

/// Removes those of the folders that are empty, from the last on.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}
