//! Errors of run folders.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;

/// An error of a run folder.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The folder for a new run is not empty.
    #[error(
        "run folder {} already exists; choose another with --run, or continue it with --resume",
        path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder does not contain a run.
    #[error("{} is not a run folder: {missing} is missing; pass a folder created by `loop-dml train`", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// A file of the run cannot be read or written.
    #[error(
        "cannot {action} {}: {source}{}", path.display(),
        if *action == "write" { "; check its permissions and free space" } else { "" }
    )]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// A file of the run is damaged.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        message: String,
    },
    /// This version cannot read the run's configuration.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ConfigError,
    },
    /// The requested checkpoint does not exist.
    #[error(
        "{} has no checkpoint of {asked}; available: {}", path.display(), format_epochs(present)
    )]
    NoCheckpoint {
        /// The run folder.
        path: PathBuf,
        /// The requested epoch, in words.
        asked: String,
        /// The epochs with a checkpoint.
        present: Vec<usize>,
    },
    /// The images are not those of the run.
    #[error(
        "the {split} split of {} was {recorded} and is now {found}{}; restore the run's images; `loop-dml \
         evaluate` accepts their new location with --root", path.display(), if recorded == found { " with other names" } else { "" }
    )]
    ImagesChanged {
        /// The run folder.
        path: PathBuf,
        /// `training` or `test`.
        split: &'static str,
        /// The recorded images.
        recorded: String,
        /// The present images.
        found: String,
    },
    /// A resumed run cannot change this key.
    #[error(
        "cannot change {key} of the run in {} with --resume; --set accepts {}",
        path.display(), allowed.join(", ")
    )]
    KeyNotResumable {
        /// The run folder.
        path: PathBuf,
        /// The key.
        key: String,
        /// The keys that may be changed.
        allowed: &'static [&'static str],
    },
    /// A resumed run has no epochs left.
    #[error(
        "{} has trained all {epochs} epochs; train more with --set training.epochs=N",
        path.display()
    )]
    Finished {
        /// The run folder.
        path: PathBuf,
        /// The configured epochs.
        epochs: usize,
    },
}

impl RunFolderError {
    /// Adds what to do to the message of a damaged file.
    pub(in crate::training) fn with_advice(self, advice: &str) -> Self {
        match self {
            Self::Damaged { path, message } => Self::Damaged {
                path,
                message: format!("{message}; {advice}"),
            },
            other => other,
        }
    }
}

fn format_epochs(epochs: &[usize]) -> String {
    match epochs {
        [] => "none yet".to_string(),
        _ => format!(
            "epochs {}",
            epochs
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
