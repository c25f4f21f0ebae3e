//! Errors of run folders.

use std::path::{Path, PathBuf};

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
    /// Another process is training in the folder.
    #[error(
        "run folder {} is in use by another process; wait for it to end, or choose another with --run",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was removed, moved or replaced while the run was trained.
    #[error(
        "run folder {} was removed, moved or replaced during the training (its file lock is not the one of this \
         process); resume the run where it is now", path.display()
    )]
    Gone {
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
        if *action == "read" { "" } else { "; check its permissions and free space" }
    )]
    File {
        /// `read`, `write` or `delete`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The disk is too small for two checkpoints.
    #[error(
        "the disk of {} is too small: {free} are free, a checkpoint of {checkpoint} does not fit twice, and the \
         run needs {needed}; choose another disk with --run, or free space", path.display()
    )]
    NoSpace {
        /// The run folder.
        path: PathBuf,
        /// Size of a checkpoint, with its unit.
        checkpoint: String,
        /// Space that the checkpoints need, with its unit.
        needed: String,
        /// Free space, with its unit.
        free: String,
    },
    /// A file of the run is damaged.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        message: String,
    },
    /// A text file of the run differs from the checksum in it.
    #[error(
        "{} was edited or damaged: its checksum differs from its contents; restore it, and change keys \
         with `train --resume --set`", path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint or the record was not written by this run.
    #[error(
        "{} does not belong to this run: its {key} is {found}, and the run's is {expected}; restore the \
         run's own file", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The first key that differs.
        key: String,
        /// The file's value.
        found: String,
        /// The run's value.
        expected: String,
    },
    /// This version cannot read the run's configuration.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ConfigError,
    },
    /// An override of the run's configuration is invalid.
    #[error(transparent)]
    Override(ConfigError),
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
        "the {split} split of {} was {recorded} and is now {found}{}; restore the run's images, or pass \
         their new location with --root", path.display(), if recorded == found { " with other names" } else { "" }
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
    /// The images have other roles than in the run.
    #[error(
        "the {split} split of {} had {recorded} and now has {found}; restore the columns query and gallery \
         (is_query and is_gallery, which earlier versions ignored) of the list, or start a new run",
        path.display()
    )]
    RolesChanged {
        /// The run folder.
        path: PathBuf,
        /// `training` or `test`.
        split: &'static str,
        /// The recorded numbers of queries and gallery images, in words.
        recorded: String,
        /// The present ones.
        found: String,
    },
    /// A resumed run cannot change this key.
    #[error(
        "cannot change {key} of the run in {} with --resume; --set accepts {}; for other changes, start a \
         new run", path.display(), allowed.join(", ")
    )]
    KeyNotResumable {
        /// The run folder.
        path: PathBuf,
        /// The key.
        key: String,
        /// The keys that may be changed.
        allowed: &'static [&'static str],
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

/// Returns a function that turns an error of the system into that of `action` (`read`, `write` or
/// `delete`) on the file `path`.
pub(super) fn file_error(
    action: &'static str,
    path: &Path,
) -> impl Fn(std::io::Error) -> RunFolderError + use<> {
    let path = path.to_path_buf();
    move |source| RunFolderError::File {
        action,
        path: path.clone(),
        source,
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
