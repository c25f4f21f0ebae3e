//! Errors of sweeps.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;
use crate::training::RunFolderError;

/// An error of a sweep.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The sweep file cannot be read.
    #[error("cannot read the sweep file {}: {source}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// The sweep file is not TOML.
    #[error("{} is not a valid sweep file: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        message: String,
    },
    /// The sweep file has a key that sweep files do not have.
    #[error("{}: unknown key `{key}`; {hint}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, with its section.
        key: String,
        /// The known key with the most similar name, or all known keys.
        hint: String,
    },
    /// A key of the sweep file has an invalid value.
    #[error("{}: `{key}`: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with its section.
        key: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A key of the configuration that the sweep file names is unknown, or the base is invalid.
    #[error("{}: {source}", path.display())]
    Config {
        /// The sweep file.
        path: PathBuf,
        /// The error.
        source: ConfigError,
    },
    /// The configurations of some runs are invalid.
    #[error(
        "{}: {refused} of {runs} runs are invalid; leave them out with [[exclude]], or change their values:{reasons}",
        path.display()
    )]
    Refused {
        /// The sweep file.
        path: PathBuf,
        /// How many.
        refused: usize,
        /// The number of all runs.
        runs: usize,
        /// For each reason a line with the reason, and one with the runs.
        reasons: String,
    },
    /// The output folder has runs that the sweep file does not describe.
    #[error(
        "{} does not fit the sweep: {reason}; restore the sweep file, remove the folder of the run, or choose another \
         output folder with --run",
        output.display()
    )]
    Unfit {
        /// The output folder.
        output: PathBuf,
        /// The first run that does not fit, and why.
        reason: String,
    },
    /// Another process sweeps in the output folder.
    #[error(
        "{} is in use by another sweep; wait for it to end, or choose another output folder with --run",
        output.display()
    )]
    Locked {
        /// The output folder.
        output: PathBuf,
    },
    /// A file of the sweep cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// A run folder cannot be read.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// A training cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Program {
        /// This program.
        program: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// A stop was requested.
    #[error("interrupted; run the same command again to continue")]
    Cancelled,
}
