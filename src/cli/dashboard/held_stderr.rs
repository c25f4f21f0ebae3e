//! Standard error while Burn's dashboard is shown: what is written there would be drawn over it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use rustix::fd::OwnedFd;
use rustix::io::dup;
use rustix::stdio::{dup2_stderr, stderr};

/// The most bytes that are printed afterwards.
const LIMIT: u64 = 64 << 10;

/// Standard error, and the file that replaces it; `None` if it is not replaced.
static HELD: Mutex<Option<(OwnedFd, File)>> = Mutex::new(None);

/// Replaces standard error by a temporary file until [`release`], if it is a terminal.
///
/// Burn's thread reports on standard error that a closed terminal cannot be restored. Rust aborts the
/// process if that fails too.
pub(super) fn hold() -> io::Result<()> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if held.is_none() && io::stderr().is_terminal() {
        let file = tempfile::tempfile()?;
        let before = dup(stderr())?;
        dup2_stderr(&file)?;
        *held = Some((before, file));
    }
    Ok(())
}

/// Restores standard error and prints what was written in the meantime, such as by a GPU's driver. Standard
/// error of a terminal that was closed stays replaced: Burn's thread may still report on it.
pub(super) fn release() {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((before, mut file)) = held.take() else {
        return;
    };
    if super::hang_up::is_closed() && !is_file_or_pipe(&before) {
        *held = Some((before, file));
        return;
    }
    let _ = dup2_stderr(&before);
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(LIMIT).read_to_end(&mut bytes));
    if read.is_ok() && !bytes.is_empty() {
        let text = String::from_utf8_lossy(&bytes);
        crate::cli::output::status_lines(text.trim_end());
    }
}

/// Whether standard error was redirected. A closed terminal is a character device.
fn is_file_or_pipe(stderr: &OwnedFd) -> bool {
    rustix::fs::fstat(stderr).is_ok_and(|status| {
        rustix::fs::FileType::from_raw_mode(status.st_mode) != rustix::fs::FileType::CharacterDevice
    })
}
