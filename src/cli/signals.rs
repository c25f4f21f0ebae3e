//! Signals that stop a command: Ctrl-C, termination, and a closed terminal.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{error, logging};
use crate::cancellation::CancellationToken;
use crate::temporary_files;

/// Signals within this time of the first are the same request to stop. When a terminal is closed, the shell
/// and the system both send SIGHUP.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Returns a token that SIGINT (Ctrl-C), SIGTERM or SIGHUP (a closed terminal) cancels, so that work stops
/// in order. A second signal restores the terminal and ends the process immediately.
///
/// A SIGHUP that is ignored when the process starts, as under `nohup`, stays ignored.
pub(super) fn cancel_on_interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    let handle = token.clone();
    let first = OnceLock::new();
    let installed = listen(move |_| match first.get() {
        None => {
            let _ = first.set(Instant::now());
            handle.cancel();
        }
        // Shells and `timeout` send a signal to the process and to its group.
        Some(first) if first.elapsed() < SAME_REQUEST => {}
        Some(_) => leave(),
    });
    if let Err(error) = installed {
        tracing::warn!(
            "cannot install the Ctrl-C handler ({error}); Ctrl-C ends the process immediately"
        );
    }
    token
}

/// Restores the terminal and ends the process. A terminal that does not accept output delays it by about a
/// second.
fn leave() {
    // A dashboard must not draw after the terminal is restored, which is done without the lock.
    #[cfg(unix)]
    within(Duration::from_millis(200), || {
        std::mem::forget(io::stdout().lock());
    });
    within(Duration::from_secs(1), || {
        #[cfg(feature = "tui")]
        super::dashboard::restore_terminal();
        logging::release();
    });
    temporary_files::remove_all();
    std::process::exit(error::INTERRUPTED.into());
}

/// Runs `work` in a thread and waits for it, but no longer than `limit`.
fn within(limit: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let working = std::thread::Builder::new().spawn(move || {
        work();
        let _ = done.send(());
    });
    if working.is_ok() {
        let _ = finished.recv_timeout(limit);
    }
}

/// Calls `on_signal` in a thread for each signal, with the number of signals before it.
#[cfg(unix)]
fn listen(on_signal: impl Fn(usize) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut numbers = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        numbers.push(SIGHUP);
    }
    let mut signals = Signals::new(&numbers)?;
    let listening = std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().zip(0..).for_each(|(_, n)| on_signal(n)));
    if let Err(error) = listening {
        // The handler remains installed, and would do nothing.
        for number in numbers {
            let always = std::sync::Arc::new(true.into());
            signal_hook::flag::register_conditional_default(number, always)?;
        }
        return Err(error);
    }
    Ok(())
}

/// Calls `on_signal` in a thread for each signal, with the number of signals before it. Signals are
/// looked for ten times a second.
#[cfg(not(unix))]
fn listen(on_signal: impl Fn(usize) + Send + 'static) -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let pending = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, pending.clone())?;
    }
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut received = 0;
            loop {
                if pending.swap(false, Ordering::Relaxed) {
                    on_signal(received);
                    received += 1;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        })?;
    Ok(())
}

/// Whether `signal` is ignored.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "the action of a signal can be read by sigaction(2) only"
)]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: all fields of `sigaction` are integers or pointers, for which zeros are valid. sigaction(2)
    // with a null pointer as the new action changes nothing and writes the old action.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn signals_are_not_ignored_unless_a_parent_ignored_them() {
        // Rust's runtime ignores SIGPIPE.
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(signal_hook::consts::SIGUSR2));
    }
}
