//! What can be wrong with a run folder, each with its mend.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;

/// A mistake about a run folder.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The folder for a new run is not empty.
    #[error(
        "the run folder {} exists already and is never overwritten; choose another with --run, or \
         go on with it: --resume", path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run in the folder.
    #[error("{} is no run folder: it has no {missing}; give a folder that `loop-dml train` made", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// A file of the run cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the run does not hold what it should.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The run's configuration is not readable by this version.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The checkpoint asked for is not there.
    #[error(
        "{} has no checkpoint of {asked}; it has {}", path.display(), listed(present)
    )]
    NoCheckpoint {
        /// The run folder.
        path: PathBuf,
        /// The epoch asked for, in words.
        asked: String,
        /// The epochs that have one.
        present: Vec<usize>,
    },
    /// The images are not those of the run.
    #[error(
        "the {split} split was {was} when {} was trained, and is {now}{} now; give back the images \
         of the run, or where they lie with --root", path.display(), if was == now { " of other names" } else { "" }
    )]
    OtherImages {
        /// The run folder.
        path: PathBuf,
        /// `training` or `test`.
        split: &'static str,
        /// What the run recorded.
        was: String,
        /// What is there.
        now: String,
    },
    /// A resumed run was given another configuration.
    #[error(
        "--resume goes on with the configuration in {}; only {} may be changed with --set, not \
         {key}", path.display(), allowed.join(", ")
    )]
    ResumedWithChange {
        /// The run folder.
        path: PathBuf,
        /// The key that would change.
        key: String,
        /// The keys that may.
        allowed: &'static [&'static str],
    },
    /// A resumed run has nothing left to do.
    #[error(
        "{} has trained all of its {epochs} epochs; give more with --set training.epochs=N",
        path.display()
    )]
    Finished {
        /// The run folder.
        path: PathBuf,
        /// The configured epochs.
        epochs: usize,
    },
}

fn listed(epochs: &[usize]) -> String {
    match epochs {
        [] => "none yet".to_string(),
        _ => format!(
            "those of epochs {}",
            epochs
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
