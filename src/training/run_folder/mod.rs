//! The folder of a run. It is self-contained: apart from the images, nothing else is needed to evaluate
//! or resume the run.
//!
//! ```text
//! config.toml       the resolved configuration, with every key that has a value
//! run.json          versions, backend, seed, protocol, dataset summary, changes on resuming
//! metrics.jsonl     a line for each epoch; epoch 0 is the untrained network
//! result.json       once the run is finished: why it ended, the best epoch and its recall
//! checkpoint/       epoch-N.safetensors of the last epochs and the best, and
//!                   epoch-N-step-S.safetensors of an interrupted epoch
//! diverged/         the first step whose loss or embeddings were not finite
//! lock              locked by the process that trains in the folder
//! ```
//!
//! Every file is written under a temporary name, synced and renamed, and has a checksum.

mod availability;
mod checkpoints;
mod error;
mod history_digest;
mod lock;
mod record;
mod result;
mod seal;

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use checkpoints::Checkpoint;
pub(super) use checkpoints::StoredCheckpoint;
pub use error::RunFolderError;
use error::file_error;
pub(super) use history_digest::HistoryDigest;
use lock::RunLock;
pub use record::{ConfigChange, EpochRecord, RunRecord, SplitSummary};
pub use result::{EndReason, RunResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::atomic_file;
use crate::config::Config;
use crate::data::Split;

const CONFIG: &str = "config.toml";
const RECORD: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const RESULT: &str = "result.json";
const DIVERGED: &str = "diverged";
/// The folder of runs without a chosen folder.
const ARTIFACTS: &str = "artifacts";

/// The key of the checksum in `run.json` and `result.json`.
const CHECKSUM: &str = "checksum";
/// The key of the checksum in a line of `metrics.jsonl`.
const LINE_CHECKSUM: &str = "crc32";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Held while the run is trained.
    lock: Option<Arc<RunLock>>,
}

/// The folder of a new run. Unless it is [kept](Self::keep) or an epoch was recorded, dropping it removes what
/// it created, so that the name is free again.
#[derive(Debug)]
pub struct NewRunFolder {
    folder: RunFolder,
    created: bool,
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
            None => (first_free(Path::new(ARTIFACTS), name)?, true),
        };
        let lock = match RunLock::acquire(&path) {
            Ok(lock) => lock,
            Err(error) => {
                if created {
                    // It is empty, unless another process has just begun to use it.
                    let _ = fs::remove_dir(&path);
                }
                return Err(error);
            }
        };
        let folder = RunFolder {
            path,
            lock: Some(Arc::new(lock)),
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
        if self.created {
            let _ = fs::remove_dir(path);
        }
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

    /// Opens the folder of a run.
    ///
    /// # Errors
    ///
    /// If it does not contain a run.
    pub fn open(path: &Path) -> Result<Self, RunFolderError> {
        for missing in [CONFIG, RECORD] {
            if !path.join(missing).is_file() {
                return Err(RunFolderError::NoRun {
                    path: path.to_path_buf(),
                    missing,
                });
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            lock: None,
        })
    }

    /// Locks the folder, to train in it.
    ///
    /// # Errors
    ///
    /// If another process trains in it, or if it cannot be written.
    pub fn locked(mut self) -> Result<Self, RunFolderError> {
        self.lock = Some(Arc::new(RunLock::acquire(&self.path)?));
        Ok(self)
    }

    /// Checks that the folder is still the one that was locked.
    fn check_lock(&self) -> Result<(), RunFolderError> {
        match &self.lock {
            Some(lock) => lock.check(&self.path),
            None => Ok(()),
        }
    }

    /// Removes temporary files that an interrupted process left.
    ///
    /// # Errors
    ///
    /// If one cannot be removed.
    pub(super) fn remove_partial_files(&self) -> Result<(), RunFolderError> {
        for folder in [self.path.clone(), self.checkpoint_folder()] {
            if folder.is_dir() {
                atomic_file::remove_partial_files(&folder)
                    .map_err(file_error("delete", &folder))?;
            }
        }
        Ok(())
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder for the first step that is not finite.
    pub(super) fn diverged(&self) -> PathBuf {
        self.path.join(DIVERGED)
    }

    /// Reads the run's configuration and applies `overrides`.
    ///
    /// # Errors
    ///
    /// If the file is missing, edited or damaged, or has keys of a later version.
    pub fn config(&self, overrides: &[String]) -> Result<Config, RunFolderError> {
        let path = self.path.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(file_error("read", &path))?;
        let missing = !seal::is_sealed_toml(&text) && self.has_checksums();
        if missing || seal::check_toml(&text).is_err() {
            return Err(RunFolderError::Edited { path });
        }
        Config::parse_saved(&text, CONFIG, overrides)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|source| RunFolderError::Config { path, source })
    }

    /// Whether a version wrote the run that adds checksums.
    fn has_checksums(&self) -> bool {
        let record = fs::read(self.record_path()).unwrap_or_default();
        serde_json::from_slice(&record).is_ok_and(|record: Value| record.get(CHECKSUM).is_some())
    }

    /// The path of the record.
    pub(super) fn record_path(&self) -> PathBuf {
        self.path.join(RECORD)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn write_config(&self, config: &Config) -> Result<(), RunFolderError> {
        self.write(CONFIG, &seal::seal_toml(&config.to_toml()))
    }

    /// Reads the record of the run.
    ///
    /// # Errors
    ///
    /// If the file is missing, edited or damaged.
    pub fn record(&self) -> Result<RunRecord, RunFolderError> {
        self.read_json(RECORD)
    }

    /// Writes the record of the run.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn write_record(&self, record: &RunRecord) -> Result<(), RunFolderError> {
        self.write_json(RECORD, record)
    }

    /// Reads the result of the run; `None` if it is not finished.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is edited or damaged.
    pub fn result(&self) -> Result<Option<RunResult>, RunFolderError> {
        match self.path.join(RESULT).exists() {
            true => self.read_json(RESULT).map(Some),
            false => Ok(None),
        }
    }

    /// Writes the result of the run.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn write_result(&self, result: &RunResult) -> Result<(), RunFolderError> {
        self.write_json(RESULT, result)
    }

    /// Removes the result of a run that is trained further.
    ///
    /// # Errors
    ///
    /// If the file cannot be removed.
    pub(super) fn remove_result(&self) -> Result<(), RunFolderError> {
        let path = self.path.join(RESULT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(file_error("delete", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Checks that `found` is the split `name` (`training`, `validation` or `test`) that the run
    /// recorded.
    ///
    /// # Errors
    ///
    /// If the number of images or a class differs.
    pub fn check_split(
        &self,
        name: &'static str,
        recorded: &SplitSummary,
        found: &Split,
    ) -> Result<(), RunFolderError> {
        let found = SplitSummary::new(found);
        if recorded.same_counts(&found) {
            if recorded.files_differ(&found) {
                tracing::warn!(
                    "names or lengths of the {name} images changed since the run began; results \
                     may not be comparable"
                );
            }
            return Ok(());
        }
        Err(RunFolderError::ImagesChanged {
            path: self.path.clone(),
            split: name,
            recorded: recorded.to_string(),
            found: found.to_string(),
        })
    }

    /// Reads the recorded epochs, from 0 on. A truncated last line is ignored.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a line before the last is damaged, or an epoch is missing.
    pub fn history(&self) -> Result<Vec<EpochRecord>, RunFolderError> {
        let path = self.path.join(METRICS);
        let text = match fs::read(&path) {
            // A flipped bit may make it invalid UTF-8. The line's checksum shows that.
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file_error("read", &path)(source)),
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut epochs: Vec<EpochRecord> = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let is_truncated = index + 1 == lines.len() && !text.ends_with('\n');
            let message = match parse_line(line) {
                Ok(epoch) if epoch.epoch == index => {
                    epochs.push(epoch);
                    continue;
                }
                _ if is_truncated => break,
                Ok(epoch) => format!("line {} is epoch {}", index + 1, epoch.epoch),
                Err(message) => format!("line {}: {message}", index + 1),
            };
            return Err(RunFolderError::Damaged {
                path,
                message: format!("{message}; restore the file, or start a new run"),
            });
        }
        Ok(epochs)
    }

    /// Appends the record of an epoch durably.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. Then it has no partial line.
    pub(super) fn append(&self, epoch: &EpochRecord) -> Result<(), RunFolderError> {
        self.check_lock()?;
        let path = self.path.join(METRICS);
        let line = format!("{}\n", format_line(epoch));
        let appended = || -> std::io::Result<()> {
            // Only the first line creates the file: if it was removed meanwhile, epochs would be lost.
            let mut file = fs::OpenOptions::new()
                .create(epoch.epoch == 0)
                .append(true)
                .open(&path)?;
            let length = file.metadata()?.len();
            let written = file
                .write_all(line.as_bytes())
                .and_then(|()| file.sync_data());
            if written.is_err() {
                let _ = file.set_len(length);
            }
            written
        };
        appended().map_err(file_error("write", &path))
    }

    /// Replaces the recorded epochs, for a run that is resumed from an epoch before the last or whose last
    /// line is truncated. A file with exactly these epochs is not written.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn replace_history(&self, epochs: &[EpochRecord]) -> Result<(), RunFolderError> {
        let lines: String = epochs
            .iter()
            .map(|epoch| format_line(epoch) + "\n")
            .collect();
        let path = self.path.join(METRICS);
        let present = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            present => present.map_err(file_error("read", &path))?,
        };
        match present == lines.as_bytes() {
            true => Ok(()),
            false => self.write(METRICS, &lines),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunFolderError> {
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(file_error("read", &path))?;
        let damaged = |error: serde_json::Error| RunFolderError::Damaged {
            path: path.clone(),
            message: format!("{error}; restore the file, or start a new run"),
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        let value = seal::check_json(value, CHECKSUM, seal::sha256)
            .map_err(|_| RunFolderError::Edited { path: path.clone() })?;
        serde_json::from_value(value).map_err(damaged)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunFolderError> {
        let value = serde_json::to_value(value).expect("a record is plain data");
        let value = seal::seal_json(value, CHECKSUM, seal::sha256);
        let text = serde_json::to_string_pretty(&value).expect("JSON is plain data");
        self.write(name, &format!("{text}\n"))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), RunFolderError> {
        self.check_lock()?;
        let path = self.path.join(name);
        atomic_file::replace(&path, text.as_bytes()).map_err(file_error("write", &path))
    }
}

fn format_line(epoch: &EpochRecord) -> String {
    let value = serde_json::to_value(epoch).expect("a record is plain data");
    seal::seal_json(value, LINE_CHECKSUM, seal::crc32).to_string()
}

fn parse_line(line: &str) -> Result<EpochRecord, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let value = seal::check_json(value, LINE_CHECKSUM, seal::crc32)
        .map_err(|_| "its checksum differs from its contents".to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
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

/// Creates the folder `path` and those above it. Returns whether it did not exist.
fn create_folder(path: &Path) -> Result<bool, RunFolderError> {
    RunFolder::check_free(path)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file_error("write", parent))?;
    }
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(file_error("write", path)(error)),
    }
}

/// Creates the first of `NAME-1`, `NAME-2`, … in `parent` that does not exist.
fn first_free(parent: &Path, name: &str) -> Result<PathBuf, RunFolderError> {
    fs::create_dir_all(parent).map_err(file_error("write", parent))?;
    for number in 1.. {
        let path = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(file_error("write", &path)(source)),
        }
    }
    unreachable!("some number is free")
}

#[cfg(test)]
mod tests;
