//! Waiting for the lock under which one process makes a file that others wait for.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Asked now and then whether to give up.
pub(crate) type Interrupted<'a> = &'a (dyn Fn() -> bool + Sync);

/// How often a lock that another process holds is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Why there is no lock.
pub(crate) enum NotLocked {
    /// The waiting was interrupted.
    Interrupted,
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
    interrupted: Interrupted,
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
        if interrupted() {
            return Err(NotLocked::Interrupted);
        }
        if let Some(tell) = waiting.take() {
            tell();
        }
        thread::sleep(PAUSE);
    }
}
