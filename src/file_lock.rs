//! Waiting for the lock under which one process makes a file that others wait for.

use crate::cancellation::CancellationToken;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often a lock that another process holds is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Why there is no lock.
pub(crate) enum NotLocked {
    /// The waiting was cancelled.
    Cancelled,
    /// The file cannot be made or locked.
    Io(io::Error),
}

/// Takes the exclusive lock of the file `path`, which is made if need be; it ends with the file that
/// is given. `waiting` is called once where another holds it.
///
/// # Errors
/// [`NotLocked`].
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
        thread::sleep(PAUSE);
    }
}
