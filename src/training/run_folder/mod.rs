//! The folder of a run. It is self-contained: apart from the images, nothing else is needed to evaluate
//! or resume the run.
//!
//! ```text
//! config.toml       the resolved configuration, with every key that has a value
//! run.json          versions, backend, seed, dataset summary
//! metrics.jsonl     a line for each epoch; epoch 0 is the untrained network
//! checkpoint/       model-N.mpk, optim-N.mpk, scheduler-N.mpk of the last two epochs and the best
//! ```

mod checkpoints;
mod error;
mod record;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use checkpoints::Checkpoint;
pub(super) use checkpoints::best_epoch;
pub use error::RunFolderError;
pub use record::{EpochRecord, RunRecord, SplitSummary};

use crate::config::Config;
use crate::data::Split;

const CONFIG: &str = "config.toml";
const RECORD: &str = "run.json";
const METRICS: &str = "metrics.jsonl";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates the folder of a new run and writes its configuration and record. The folder is `path`, or
    /// the first of `artifacts/NAME-1`, `artifacts/NAME-2`, … that does not exist.
    ///
    /// # Errors
    ///
    /// If `path` exists and is not an empty folder, or cannot be written.
    pub fn create(
        path: Option<&Path>,
        name: &str,
        config: &Config,
        record: &RunRecord,
    ) -> Result<Self, RunFolderError> {
        let path = match path {
            Some(path) => {
                Self::check_free(path)?;
                fs::create_dir_all(path).map_err(file("write", path))?;
                path.to_path_buf()
            }
            None => first_free(Path::new("artifacts"), name)?,
        };
        let folder = Self { path };
        folder.write(CONFIG, &config.to_toml())?;
        let record = serde_json::to_string_pretty(record).expect("a record is plain data");
        folder.write(RECORD, &format!("{record}\n"))?;
        Ok(folder)
    }

    /// Checks that a new run can be created in `path`.
    ///
    /// # Errors
    ///
    /// If `path` is a file or a folder that is not empty.
    pub fn check_free(path: &Path) -> Result<(), RunFolderError> {
        let free = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => !path.exists(),
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
        })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the run's configuration and applies `overrides`.
    ///
    /// # Errors
    ///
    /// If the file is missing or damaged, or has keys of a later version.
    pub fn config(&self, overrides: &[String]) -> Result<Config, RunFolderError> {
        let path = self.path.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(file("read", &path))?;
        Config::parse_saved(&text, CONFIG, overrides)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|source| RunFolderError::Config { path, source })
    }

    /// Replaces the configuration, for a run that is extended by more epochs.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn replace_config(&self, config: &Config) -> Result<(), RunFolderError> {
        self.write(CONFIG, &config.to_toml())
    }

    /// Reads the record of the run.
    ///
    /// # Errors
    ///
    /// If the file is missing or damaged.
    pub fn record(&self) -> Result<RunRecord, RunFolderError> {
        let path = self.path.join(RECORD);
        let text = fs::read_to_string(&path).map_err(file("read", &path))?;
        serde_json::from_str(&text).map_err(|error| RunFolderError::Damaged {
            path,
            message: error.to_string(),
        })
    }

    /// Checks that `split` is the training split (if `training`) or the test split of the run.
    ///
    /// # Errors
    ///
    /// If the number of images or a class differs.
    pub fn check_split(&self, split: &Split, training: bool) -> Result<(), RunFolderError> {
        let record = self.record()?;
        let (name, recorded) = match training {
            true => ("training", record.train),
            false => ("test", record.test),
        };
        let found = SplitSummary::new(split);
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

    /// Reads the recorded epochs, in order. A truncated last line is ignored.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a line before the last is damaged.
    pub fn history(&self) -> Result<Vec<EpochRecord>, RunFolderError> {
        let path = self.path.join(METRICS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file("read", &path)(source)),
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut epochs = Vec::with_capacity(lines.len());
        for (number, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(epoch) => epochs.push(epoch),
                Err(_) if number + 1 == lines.len() => break,
                Err(error) => {
                    return Err(RunFolderError::Damaged {
                        path,
                        message: format!("line {}: {error}", number + 1),
                    });
                }
            }
        }
        Ok(epochs)
    }

    /// Appends the record of an epoch.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn append(&self, epoch: &EpochRecord) -> Result<(), RunFolderError> {
        let path = self.path.join(METRICS);
        let line = serde_json::to_string(epoch).expect("a record is plain data");
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(file("write", &path))
    }

    /// Replaces the recorded epochs, for a run that is resumed from an epoch before the last.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn replace_history(&self, epochs: &[EpochRecord]) -> Result<(), RunFolderError> {
        let lines: String = epochs
            .iter()
            .map(|epoch| serde_json::to_string(epoch).expect("a record is plain data") + "\n")
            .collect();
        self.write(METRICS, &lines)
    }

    /// Writes a file under a temporary name and renames it.
    fn write(&self, name: &str, text: &str) -> Result<(), RunFolderError> {
        let path = self.path.join(name);
        let written = || -> std::io::Result<()> {
            let mut file =
                readable_by_all(&mut tempfile::Builder::new()).tempfile_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        written().map_err(file("write", &path))
    }
}

/// Creates the first of `NAME-1`, `NAME-2`, … in `parent` that does not exist.
fn first_free(parent: &Path, name: &str) -> Result<PathBuf, RunFolderError> {
    fs::create_dir_all(parent).map_err(file("write", parent))?;
    for number in 1.. {
        let path = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(file("write", &path)(source)),
        }
    }
    unreachable!("some number is free")
}

/// Gives a temporary file the permissions of an ordinary file; its own are for the owner only.
fn readable_by_all<'a, 'b, 'c>(
    builder: &'a mut tempfile::Builder<'b, 'c>,
) -> &'a mut tempfile::Builder<'b, 'c> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn file(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> RunFolderError + use<> {
    let path = path.to_path_buf();
    move |source| RunFolderError::File {
        action,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
