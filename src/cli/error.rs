//! What ends a command, and the exit status of each kind.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::atomic_file::AtomicFileError;
use crate::backend::BackendError;
use crate::bench::BenchError;
use crate::config::ConfigError;
use crate::data::survey::SheetPathError;
use crate::data::{CacheError, DataError, DatasetError};
use crate::embedding_file::EmbeddingFileError;
#[cfg(feature = "index")]
use crate::inference::IndexError;
use crate::inference::export::ExportError;
use crate::inference::{InferenceError, RetrievalError, SearchError};
use crate::model::weights::{DownloadError, WeightsError};
use crate::setting::SettingError;
use crate::sweep::SweepError;
use crate::training::{RunFolderError, TrainingError};

/// Exit status of success.
pub(super) const SUCCESS: u8 = 0;
/// Exit status of a failure that is not the user's.
pub(super) const FAILURE: u8 = 1;
/// Exit status where arguments, configuration or data are at fault.
const USER_ERROR: u8 = 2;
/// Exit status of an interrupted command.
pub(super) const INTERRUPTED: u8 = 130;

/// What ends a command before it is done.
#[derive(Debug, Error)]
pub enum CliError {
    /// The backend cannot start.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The images are invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An embedding, a measurement or an export failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A training failed.
    #[error("{}", training_message(.0))]
    Training(#[from] TrainingError),
    /// A benchmark failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// `data check` found errors, and has printed them.
    #[error("{errors} error(s) in dataset {dataset}; see the list above")]
    DatasetErrors {
        /// The dataset and its root.
        dataset: String,
        /// How many.
        errors: usize,
    },
    /// The working folder was removed or cannot be accessed.
    #[error("cannot use the working folder: {0}; change to a folder that exists")]
    WorkingFolder(io::Error),
    /// The system does not start the threads that compute; the reason.
    #[error(
        "cannot start the threads that compute: {0}; set RAYON_NUM_THREADS to a smaller number, or raise \
         the limits on processes and memory (ulimit -u, ulimit -v)"
    )]
    Threads(String),
    /// The processes that an MPI launcher has started cannot work together; the reason.
    #[error("{0}")]
    #[cfg(feature = "mpi")]
    Processes(String),
    /// An MPI launcher has started a binary that does not use MPI.
    #[error(
        "{processes} processes were started, but this binary was built without MPI, so that each would train alone; \
         build it with --features mpi, or start one process"
    )]
    #[cfg(not(feature = "mpi"))]
    NoMpi {
        /// How many.
        processes: usize,
    },
    /// Checks of `train --dry-run` failed, and were printed.
    #[error("{failed} check(s) failed; see the list above")]
    DryRun {
        /// How many.
        failed: usize,
    },
    /// A sweep cannot begin or continue.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Runs of a sweep failed, and were printed.
    #[error("{failed} of {runs} runs failed; see above; run the same command again to retry them")]
    SweepFailed {
        /// How many failed.
        failed: usize,
        /// The number of all runs.
        runs: usize,
    },
    /// An output file cannot be written.
    #[error("cannot write {}: {source}; check its permissions and free space", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
}

impl CliError {
    /// 2 where the user's input is at fault, 130 for an interrupt, else 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Backend(error) => backend_status(error),
            Self::Config(_)
            | Self::DatasetErrors { .. }
            | Self::DryRun { .. }
            | Self::WorkingFolder(_) => USER_ERROR,
            Self::Data(error) => data_status(error),
            Self::Inference(error) => inference_status(error),
            Self::Training(error) => training_status(error),
            Self::Bench(BenchError::Data(error)) => data_status(error),
            Self::Bench(BenchError::Inference(error)) => inference_status(error),
            Self::Bench(BenchError::Setting(_)) => USER_ERROR,
            Self::Bench(BenchError::Cancelled) => INTERRUPTED,
            #[cfg(feature = "mpi")]
            Self::Processes(_) => FAILURE,
            #[cfg(not(feature = "mpi"))]
            Self::NoMpi { .. } => USER_ERROR,
            Self::Sweep(error) => sweep_status(error),
            Self::Bench(BenchError::Images { .. })
            | Self::SweepFailed { .. }
            | Self::Threads(_)
            | Self::Output { .. }
            | Self::Stdout(_) => FAILURE,
        }
    }
}

impl CliError {
    /// Whether the message has several lines: an error in TOML shows the line of the file.
    pub(super) fn has_lines(&self) -> bool {
        let training = match self {
            Self::Training(error) | Self::Inference(InferenceError::Training(error)) => Some(error),
            _ => None,
        };
        if let Self::Sweep(SweepError::Refused { .. } | SweepError::Syntax { .. }) = self {
            return true;
        }
        let config = match (self, training) {
            (Self::Sweep(SweepError::Config { source, .. }), _) => source,
            (Self::Config(error), _) | (_, Some(TrainingError::Config(error))) => error,
            (_, Some(TrainingError::RunFolder(RunFolderError::Config { source, .. }))) => source,
            _ => return false,
        };
        matches!(config, ConfigError::Syntax { .. })
    }
}

fn backend_status(error: &BackendError) -> u8 {
    match error {
        BackendError::Cuda(error) if error.is_machine_error() => FAILURE,
        _ => USER_ERROR,
    }
}

fn data_status(error: &DataError) -> u8 {
    match error {
        DataError::Cancelled => INTERRUPTED,
        DataError::Cache(CacheError::Unwritable { .. }) => FAILURE,
        _ => USER_ERROR,
    }
}

fn weights_status(error: &WeightsError) -> u8 {
    match error {
        WeightsError::Published(DownloadError::Cancelled) => INTERRUPTED,
        WeightsError::Published(error) if !error.is_user_error() => FAILURE,
        _ => USER_ERROR,
    }
}

fn run_folder_status(error: &RunFolderError) -> u8 {
    match error {
        RunFolderError::File {
            action: "write" | "delete",
            ..
        }
        | RunFolderError::Gone { .. }
        | RunFolderError::NoSpace { .. } => FAILURE,
        _ => USER_ERROR,
    }
}

fn file_status(error: &AtomicFileError) -> u8 {
    match error {
        AtomicFileError::Unwritable { .. } => FAILURE,
        _ => USER_ERROR,
    }
}

fn training_status(error: &TrainingError) -> u8 {
    match error {
        TrainingError::Config(_) | TrainingError::Processes { .. } => USER_ERROR,
        TrainingError::Data(error) | TrainingError::ImagesMoved(error) => data_status(error),
        TrainingError::Weights(error) => weights_status(error),
        TrainingError::RunFolder(error) => run_folder_status(error),
        TrainingError::Cancelled { .. } => INTERRUPTED,
        TrainingError::Diverged { .. }
        | TrainingError::BrokenNetwork
        | TrainingError::WorkingDirectory(_)
        | TrainingError::Panicked { .. } => FAILURE,
    }
}

fn sweep_status(error: &SweepError) -> u8 {
    match error {
        SweepError::RunFolder(error) => run_folder_status(error),
        SweepError::Cancelled => INTERRUPTED,
        SweepError::File {
            action: "write", ..
        }
        | SweepError::Program { .. } => FAILURE,
        _ => USER_ERROR,
    }
}

fn inference_status(error: &InferenceError) -> u8 {
    match error {
        InferenceError::Training(error) => training_status(error),
        InferenceError::Data(error) => data_status(error),
        InferenceError::EmbeddingFile(EmbeddingFileError::Output(error))
        | InferenceError::Export(ExportError::Output(error))
        | InferenceError::File(error) => file_status(error),
        #[cfg(feature = "index")]
        InferenceError::Index(IndexError::Output(error)) => file_status(error),
        #[cfg(feature = "index")]
        InferenceError::Index(IndexError::Build { .. }) => FAILURE,
        InferenceError::Cancelled => INTERRUPTED,
        InferenceError::BrokenNetwork => FAILURE,
        _ => USER_ERROR,
    }
}

/// The error, and how to resume an interrupted run.
fn training_message(error: &TrainingError) -> String {
    match error {
        TrainingError::Cancelled { run: Some(run) } => format!(
            "interrupted; resume with: loop-dml train --resume --run {}",
            run.display()
        ),
        error => error.to_string(),
    }
}

/// Lets `?` convert the errors of a module to [`CliError`] by way of the error of a command.
macro_rules! convert {
    ($($from:ty => $via:ty),* $(,)?) => {
        $(impl From<$from> for CliError {
            fn from(error: $from) -> Self {
                <$via>::from(error).into()
            }
        })*
    };
}

convert! {
    SettingError => ConfigError,
    DatasetError => DataError,
    SheetPathError => DataError,
    RunFolderError => TrainingError,
    EmbeddingFileError => InferenceError,
    AtomicFileError => InferenceError,
    ExportError => InferenceError,
    RetrievalError => InferenceError,
    SearchError => InferenceError,
}
