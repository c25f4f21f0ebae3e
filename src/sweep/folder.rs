//! The output folder of a sweep.
//!
//! ```text
//! NAME/           the run folder of each run, as `train` writes it
//! logs/NAME.log   what the training of each run printed
//! lock            locked by the process that sweeps
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::SweepError;
use super::names::RESERVED;
use super::plan::{PlannedRun, Sweep};
use crate::config::Config;
use crate::setting::shown;
use crate::training::{RunFolder, RunFolderError, RunResult};

/// A key that a training adds to its configuration: the number of features of the file.
const ADDED: &str = "model.feature_dim";

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// It has no folder yet.
    New,
    /// It was interrupted or has failed, and can be resumed.
    Started {
        /// The complete epochs.
        epochs: usize,
        /// The CPU threads that it began with, on which the order of sums depends.
        threads: Option<usize>,
    },
    /// It has a result.
    Finished {
        /// The result.
        result: Box<RunResult>,
        /// The seconds of its epochs.
        seconds: f64,
    },
}

impl RunState {
    /// The result and the seconds of a finished run.
    pub fn finished(&self) -> Option<(&RunResult, f64)> {
        match self {
            Self::Finished { result, seconds } => Some((result, *seconds)),
            _ => None,
        }
    }
}

impl Sweep {
    /// The state of each run. Checks that the output folder has no other runs, and that the runs in it have the
    /// configurations of this sweep.
    ///
    /// # Errors
    /// If a run does not fit, or its files cannot be read.
    pub fn states(&self) -> Result<Vec<RunState>, SweepError> {
        self.check_folders()?;
        self.runs().iter().map(|run| self.state(run)).collect()
    }

    /// The folder of the logs.
    fn logs(&self) -> PathBuf {
        self.output().join("logs")
    }

    /// The file with what the training of a run printed.
    pub fn log(&self, run: &PlannedRun) -> PathBuf {
        self.logs().join(format!("{}.log", run.name))
    }

    fn unfit(&self, reason: String) -> SweepError {
        SweepError::Unfit {
            output: self.output().to_path_buf(),
            reason,
        }
    }

    /// Checks that every run folder in the output folder is one of this sweep.
    fn check_folders(&self) -> Result<(), SweepError> {
        let output = self.output();
        if RunFolder::open(output).is_ok() {
            return Err(self.unfit("it is the folder of a run".into()));
        }
        let entries = match fs::read_dir(output) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(file_error("read", output))?,
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| RunFolder::open(&entry.path()).is_ok())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let known: BTreeSet<&str> = self.runs().iter().map(|run| run.name.as_str()).collect();
        match names
            .into_iter()
            .find(|name| !known.contains(name.as_str()))
        {
            Some(name) => Err(self.unfit(format!("its run {name} is not one of the sweep"))),
            None => Ok(()),
        }
    }

    /// The state of a run.
    pub(super) fn state(&self, run: &PlannedRun) -> Result<RunState, SweepError> {
        let path = self.folder(run);
        let folder = match RunFolder::open(&path) {
            Ok(folder) => folder,
            Err(RunFolderError::NoRun { .. }) => {
                // What a process left that was killed before its run began is removed by the next training.
                return match RunFolder::check_free(&path) {
                    Ok(()) => Ok(RunState::New),
                    Err(_) => Err(self.unfit(format!("its folder {} is not a run", run.name))),
                };
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(difference) = difference(&run.config, &folder.config(&[])?)? {
            return Err(self.unfit(format!("its run {} {difference}", run.name)));
        }
        let history = folder.history()?;
        Ok(match folder.result()? {
            Some(result) => RunState::Finished {
                result: Box::new(result),
                seconds: history.iter().map(|epoch| epoch.seconds).sum(),
            },
            None => RunState::Started {
                epochs: history.len().saturating_sub(1),
                threads: folder.record()?.threads,
            },
        })
    }

    /// Creates the output folder and locks it until the result is dropped.
    ///
    /// # Errors
    /// If another process sweeps in it, or it cannot be written.
    pub fn lock(&self) -> Result<SweepLock, SweepError> {
        let logs = self.logs();
        fs::create_dir_all(&logs).map_err(file_error("write", &logs))?;
        let path = self.output().join(RESERVED[0]);
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(file_error("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SweepError::Locked {
                    output: self.output().to_path_buf(),
                });
            }
            Err(TryLockError::Error(error)) => tracing::warn!(
                "cannot lock {} ({error}); do not sweep in this folder with another process",
                path.display()
            ),
        }
        Ok(SweepLock { _file: file })
    }
}

/// The lock of an output folder, released when it is dropped.
#[derive(Debug)]
pub struct SweepLock {
    _file: File,
}

pub(super) fn file_error(
    action: &'static str,
    path: &Path,
) -> impl Fn(std::io::Error) -> SweepError + use<> {
    let path = path.to_path_buf();
    move |source| SweepError::File {
        action,
        path: path.clone(),
        source,
    }
}

/// How the configuration of a run differs from that of the sweep, in words; `None` if it does not.
fn difference(planned: &Config, saved: &Config) -> Result<Option<String>, SweepError> {
    // A run records absolute paths.
    let planned = planned.clone().with_absolute_root();
    let planned = values(&planned.map_err(file_error("read", Path::new(".")))?);
    let saved = values(saved);
    let text = |value: Option<&Value>| value.map_or("absent".to_string(), shown);
    let keys = planned.keys().chain(saved.keys());
    let is_added = |key: &str| key == ADDED && !planned.contains_key(key);
    let mut differing: Vec<&String> = keys
        .filter(|key| planned.get(*key) != saved.get(*key) && !is_added(key))
        .collect();
    differing.sort();
    // The choice of a loss explains its other keys.
    let first = differing.iter().find(|key| key.ends_with(".name"));
    Ok(first.or(differing.first()).map(|key| {
        let (was, is) = (text(saved.get(*key)), text(planned.get(*key)));
        format!("has {key} = {was}, and the sweep {is}")
    }))
}

/// The values of a configuration by dotted key.
fn values(config: &Config) -> BTreeMap<String, Value> {
    let table: Table =
        toml::from_str(&config.to_toml()).expect("a configuration is written as TOML");
    let mut values = BTreeMap::new();
    for (section, keys) in table {
        for (key, value) in keys.as_table().into_iter().flatten() {
            values.insert(format!("{section}.{key}"), value.clone());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Config::parse("", "test", &sets).unwrap()
    }

    #[test]
    fn difference_names_the_choice_before_its_keys() {
        let planned = config(&["loss.name=triplet", "training.epochs=3"]);
        assert_eq!(difference(&planned, &planned).unwrap(), None);
        let saved = config(&[
            "loss.name=n-pair",
            "model.normalize=true",
            "training.epochs=3",
        ]);
        assert_eq!(
            difference(&planned, &saved).unwrap().unwrap(),
            "has loss.name = \"n-pair\", and the sweep \"triplet\""
        );
        let saved = config(&["loss.name=triplet", "training.epochs=4"]);
        assert_eq!(
            difference(&planned, &saved).unwrap().unwrap(),
            "has training.epochs = 4, and the sweep 3"
        );
    }

    #[test]
    fn relative_paths_and_the_number_of_features_do_not_differ() {
        let features = [
            "model.backbone=none",
            "data.dataset=embeddings",
            "data.root=f.npy",
        ];
        let planned = config(&features);
        let mut saved = planned.clone().with_absolute_root().unwrap();
        saved.model.feature_dim = Some(12);
        assert_eq!(difference(&planned, &saved).unwrap(), None);
    }
}
