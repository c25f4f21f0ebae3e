//! Commands that have nothing to save end within a second after Ctrl-C.
//!
//! Ctrl-C cancels a token, and work that checks it ends in order. A single computation may take longer:
//! the loss of a large batch, a library that reads a file, a GPU's driver that compiles. If the command
//! still runs [`GRACE`] after the request, the process removes its temporary files and exits. `train`
//! does not do this, because it has a checkpoint to write.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::output::{clear_bar, status};
use super::progress::ProgressBars;
use super::{cancel_on_interrupt, error, logging};
use crate::cancellation::CancellationToken;
use crate::progress::Monitor;
use crate::temporary_files;

/// Time for work to end in order after a request to stop.
const GRACE: Duration = Duration::from_millis(600);
/// Time between two checks of the token.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The request to stop and the progress of a command that has nothing to save.
pub(super) struct CommandMonitor {
    cancellation: CancellationToken,
    progress: ProgressBars,
    _end: PromptEnd,
}

impl CommandMonitor {
    /// Installs the handler of Ctrl-C. Call it once, before anything takes long.
    pub(super) fn install() -> Self {
        Self::with_grace(GRACE)
    }

    /// As [`install`](Self::install), with another time for work to end in order.
    pub(super) fn with_grace(grace: Duration) -> Self {
        let cancellation = cancel_on_interrupt();
        Self {
            _end: end_promptly(&cancellation, grace),
            progress: ProgressBars::default(),
            cancellation,
        }
    }

    pub(super) fn monitor(&self) -> Monitor<'_> {
        Monitor::new(&self.cancellation, &self.progress)
    }
}

/// Ends the process after a request to stop, until it is dropped.
pub(super) struct PromptEnd {
    /// Its drop ends the thread.
    _alive: Sender<()>,
}

/// Ends the process in [`GRACE`] after `cancellation` is requested, unless the result is dropped before.
pub(super) fn end_soon(cancellation: &CancellationToken) -> PromptEnd {
    end_promptly(cancellation, GRACE)
}

fn end_promptly(cancellation: &CancellationToken, grace: Duration) -> PromptEnd {
    end_with(cancellation, grace, exit)
}

/// Calls `end` a time of `grace` after `cancellation` is requested, unless the result is dropped before.
fn end_with(
    cancellation: &CancellationToken,
    grace: Duration,
    end: impl FnOnce() + Send + 'static,
) -> PromptEnd {
    let (alive, dropped) = channel();
    let cancellation = cancellation.clone();
    // Without it, work ends in order, which may take longer.
    let _ = thread::Builder::new().spawn(move || {
        let waited = |time| dropped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        while !cancellation.is_cancelled() {
            if !waited(CHECK_INTERVAL) {
                return;
            }
        }
        if waited(grace) {
            end();
        }
    });
    PromptEnd { _alive: alive }
}

/// Ends the process as an interrupted one.
fn exit() {
    logging::release();
    temporary_files::remove_all();
    clear_bar();
    status("error: interrupted");
    std::process::exit(error::INTERRUPTED.into());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_millis(400);

    /// Whether the process would have ended, after `work` with the token and the guard.
    fn ended(work: impl FnOnce(&CancellationToken, PromptEnd)) -> bool {
        let ended = Arc::new(AtomicBool::new(false));
        let (token, flag) = (CancellationToken::new(), ended.clone());
        let guard = end_with(&token, SHORT, move || flag.store(true, Ordering::Relaxed));
        work(&token, guard);
        ended.load(Ordering::Relaxed)
    }

    #[test]
    fn work_that_does_not_stop_is_ended() {
        assert!(ended(|token, guard| {
            token.cancel();
            thread::sleep(LONG);
            drop(guard);
        }));
    }

    #[test]
    fn work_that_stops_or_is_not_cancelled_ends_by_itself() {
        assert!(!ended(|token, guard| {
            drop(guard);
            token.cancel();
            thread::sleep(LONG);
        }));
        assert!(!ended(|_, guard| {
            thread::sleep(LONG);
            drop(guard);
        }));
    }
}
