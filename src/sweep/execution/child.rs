//! A process that trains a run.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::cancellation::CancellationToken;
use crate::file_lock::{NotLocked, wait_for_lock};
use crate::shorten::shorten;
use crate::sweep::SweepError;
use crate::sweep::folder::file_error;
use crate::sweep::names::shell_command;

/// The environment variable with the number of CPU threads.
pub(super) const THREADS: &str = "RAYON_NUM_THREADS";
/// The start of the line with the error of a command.
const ERROR: &str = "error: ";
/// The most bytes at the end of a log in which the error is looked for.
const TAIL: u64 = 64 << 10;

/// A process that trains a run.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    /// The process stops after a checkpoint when it is dropped.
    stdin: Option<ChildStdin>,
    started: Instant,
    log: PathBuf,
    /// The length of the log before this training.
    log_start: u64,
    ended: bool,
}

/// How a process ended.
#[derive(Debug)]
pub(super) enum ChildEnd {
    /// The run is complete.
    Done {
        /// Wall-clock seconds.
        seconds: f64,
    },
    /// It is not.
    Failed {
        /// Why.
        message: String,
    },
}

impl Child {
    /// Starts `program` with `arguments`. What it prints is appended to `log`.
    ///
    /// # Errors
    /// If the log cannot be written or the process cannot be started.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        threads: usize,
        log: &Path,
    ) -> Result<Self, SweepError> {
        let write = file_error("write", log);
        let mut file = File::options();
        let mut file = file.create(true).append(true).open(log).map_err(&write)?;
        let start = file.metadata().map_err(&write)?.len();
        // The process shares the lock, and releases it when it ends. Other systems would keep it from writing.
        #[cfg(unix)]
        let _ = file.try_lock();
        let command = shell_command(arguments);
        writeln!(file, "$ {THREADS}={threads} loop-dml {command}").map_err(&write)?;
        let errors = file.try_clone().map_err(&write)?;
        let process = single_process(program)
            .args(arguments)
            .args(["--plain", "--stop-with-stdin"])
            .env(THREADS, threads.to_string())
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .spawn();
        let mut process = process.map_err(|source| SweepError::Program {
            program: program.to_path_buf(),
            source,
        })?;
        Ok(Self {
            stdin: process.stdin.take(),
            process,
            started: Instant::now(),
            log: log.to_path_buf(),
            log_start: start,
            ended: false,
        })
    }

    /// Asks the process to write a checkpoint and stop.
    pub(super) fn stop(&mut self) {
        self.stdin = None;
    }

    /// How the process ended; `None` while it runs.
    pub(super) fn end(&mut self) -> Option<ChildEnd> {
        let status = match self.process.try_wait() {
            Ok(status) => status?,
            Err(error) => {
                let message = format!("cannot wait for the process: {error}");
                return Some(ChildEnd::Failed { message });
            }
        };
        self.ended = true;
        let seconds = self.started.elapsed().as_secs_f64();
        Some(match status.success() {
            true => ChildEnd::Done { seconds },
            false => ChildEnd::Failed {
                message: self.message(status),
            },
        })
    }

    /// The error that the process printed, or how it ended.
    fn message(&self, status: ExitStatus) -> String {
        let printed = read_from(&self.log, self.log_start).unwrap_or_default();
        let mut lines = printed.lines().rev();
        match lines.find_map(|line| line.strip_prefix(ERROR)) {
            Some(error) => error.to_string(),
            // A signal, or an exit without a message.
            None => {
                let last = printed.lines().next_back().unwrap_or_default();
                format!("the process ended with {status}: {}", shorten(last))
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.stop();
            let _ = self.process.wait();
        }
    }
}

/// The end of a file, from `start` on.
fn read_from(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits until no process trains in the folder `run` with the log `log`, which may not exist. Calls `waiting` if one
/// does: that of a sweep that was killed, which writes a checkpoint and ends.
///
/// # Errors
/// If `cancellation` is requested.
pub(super) fn wait_until_free(
    run: &Path,
    log: &Path,
    cancellation: &CancellationToken,
    mut waiting: impl FnMut(),
) -> Result<(), SweepError> {
    for file in [log, &run.join("lock")] {
        if !file.exists() {
            continue;
        }
        // The training reports a folder that it cannot lock.
        if let Err(NotLocked::Cancelled) = wait_for_lock(file, cancellation, &mut waiting) {
            return Err(SweepError::Cancelled);
        }
    }
    Ok(())
}

/// A command without the variables of an MPI launcher: each run of a sweep is one process.
pub(super) fn single_process(program: &Path) -> Command {
    const PREFIXES: [&str; 3] = ["OMPI_", "PMIX_", "PMI_"];

    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
