//! A lock between processes, held while one process writes a file that others wait for.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::cancellation::CancellationToken;

/// The time between two attempts to lock the file.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The lock could not be taken.
pub(crate) enum NotLocked {
    /// The waiting was cancelled.
    Cancelled,
    /// The file cannot be created or locked.
    Io(io::Error),
}

/// Waits for the exclusive lock of the file `path`, which is created if it does not exist. The lock is
/// released when the returned file is dropped. If another process holds the lock, `waiting` is called
/// once.
///
/// # Errors
/// If `cancellation` is requested, or if the file cannot be created or locked.
pub(crate) fn wait_for_lock(
    path: &Path,
    cancellation: &CancellationToken,
    waiting: impl FnOnce(),
) -> Result<File, NotLocked> {
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(path);
    let file = file.map_err(NotLocked::Io)?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        if cancellation.is_cancelled() {
            return Err(NotLocked::Cancelled);
        }
        if let Some(report) = waiting.take() {
            report();
        }
        thread::sleep(RETRY_INTERVAL);
    }
}
