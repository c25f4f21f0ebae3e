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
//! tensorboard/      the epochs for TensorBoard, derived from metrics.jsonl
//! diverged/         the first step whose loss or embeddings were not finite
//! lock              locked by the process that trains in the folder
//! ```
//!
//! `metrics.jsonl` is appended to and synced; every other file is written under a temporary name, synced and
//! renamed, except the events for TensorBoard, which are appended to. All but those in `diverged/` have checksums.

mod availability;
mod checkpoints;
mod error;
mod history_digest;
mod lock;
mod metrics_file;
mod new_run;
mod record;
mod result;
mod seal;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use checkpoints::Checkpoint;
pub(super) use checkpoints::StoredCheckpoint;
pub use error::RunFolderError;
use error::file_error;
pub(super) use history_digest::HistoryDigest;
use lock::RunLock;
pub use new_run::NewRunFolder;
pub(super) use record::SplitSummaries;
pub use record::{ConfigChange, EpochRecord, RunRecord, SplitSummary};
pub use result::{EndReason, RunResult};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::atomic_file;
use crate::config::Config;
use crate::data::config::DatasetConfig;

const CONFIG: &str = "config.toml";
const RECORD: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const RESULT: &str = "result.json";
const DIVERGED: &str = "diverged";
const TENSORBOARD: &str = "tensorboard";
/// The folder of runs without a chosen folder.
const ARTIFACTS: &str = "artifacts";

/// The key of the checksum in `run.json` and `result.json`.
const CHECKSUM: &str = "checksum";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Held while the run is trained.
    lock: Option<Arc<RunLock>>,
    /// Whether it is the private folder of a process other than process 0. Then checkpoints are not written.
    other_process: bool,
}

impl RunFolder {
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
            other_process: false,
        })
    }

    /// Marks it as the private folder of a process other than process 0, in which checkpoints are not written.
    pub(super) fn of_other_process(self) -> Self {
        Self {
            other_process: true,
            ..self
        }
    }

    /// Whether it is the private folder of a process other than process 0.
    pub(super) fn is_of_other_process(&self) -> bool {
        self.other_process
    }

    /// Returns the files that are neither checkpoints nor derived from others, by name.
    ///
    /// # Errors
    ///
    /// If one cannot be read.
    pub(super) fn small_files(&self) -> Result<BTreeMap<String, String>, RunFolderError> {
        let names = [CONFIG, RECORD, METRICS, RESULT].into_iter();
        let present = names.filter(|name| self.path.join(name).exists());
        let read = |name: &str| {
            let path = self.path.join(name);
            let bytes = fs::read(&path).map_err(file_error("read", &path))?;
            // A damaged file is reported by who reads it next.
            Ok((
                name.to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ))
        };
        present.map(read).collect()
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

    /// The folder of the events for TensorBoard.
    pub(super) fn tensorboard(&self) -> PathBuf {
        self.path.join(TENSORBOARD)
    }

    /// Whether the training kept a step whose loss or embeddings were not finite.
    pub fn has_diverged(&self) -> bool {
        self.diverged().is_dir()
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
        let parse = |overrides| {
            Config::parse_saved(&text, CONFIG, overrides)
                .and_then(|config| config.check().map(|()| config))
        };
        let saved = parse(&[]).map_err(|source| RunFolderError::Config { path, source })?;
        match overrides {
            [] => Ok(saved),
            // A mistake in an override is not one in the file.
            _ => parse(overrides).map_err(RunFolderError::Override),
        }
    }

    /// Returns the overrides of [`config`](Self::config) for data that were moved to `root`. A file of labels beside
    /// the data is looked for beside them again.
    ///
    /// # Errors
    /// If the configuration is invalid.
    pub fn moved(&self, root: &Path) -> Result<Vec<String>, RunFolderError> {
        let set = |key: &str, path: &Path| {
            // Quoted as TOML, so that a path such as `1` remains a string.
            let path = toml::Value::from(path.to_string_lossy().into_owned());
            format!("data.{key}={path}")
        };
        let mut overrides = vec![set("root", root)];
        if let DatasetConfig::Embeddings(keys) = &self.config(&[])?.data.source
            && let Some(labels) = &keys.labels
            && labels.parent() == keys.root.parent()
            && let Some(name) = labels.file_name()
        {
            let beside = root.parent().unwrap_or("".as_ref()).join(name);
            if beside.exists() {
                overrides.push(set("labels", &beside));
            }
        }
        Ok(overrides)
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
        found: &SplitSummary,
    ) -> Result<(), RunFolderError> {
        if recorded.same_counts(found) {
            if recorded.files_differ(found) {
                tracing::warn!(
                    "names, bounding boxes or lengths of the {name} images changed since the run began, or their \
                     features or labels did; results may not be comparable"
                );
            }
            return Ok(());
        }
        if recorded.roles_differ(found) {
            return Err(RunFolderError::RolesChanged {
                path: self.path.clone(),
                split: name,
                recorded: recorded.roles(),
                found: found.roles(),
            });
        }
        Err(RunFolderError::ImagesChanged {
            path: self.path.clone(),
            split: name,
            recorded: recorded.to_string(),
            found: found.to_string(),
        })
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

#[cfg(test)]
mod tests;
