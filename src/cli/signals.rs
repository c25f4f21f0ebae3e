//! Signals that stop a command: Ctrl-C, termination, and a closed terminal.

use std::io;

use super::{error, logging};
use crate::cancellation::CancellationToken;
use crate::temporary_files;

/// Returns a token that SIGINT (Ctrl-C), SIGTERM or SIGHUP (a closed terminal) cancels, so that work stops
/// in order. A second signal restores the terminal and ends the process immediately.
///
/// A SIGHUP that is ignored when the process starts, as under `nohup`, stays ignored.
pub(super) fn cancel_on_interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    let handle = token.clone();
    let installed = listen(move |signals_before| match signals_before {
        0 => handle.cancel(),
        _ => leave(),
    });
    if let Err(error) = installed {
        tracing::warn!(
            "cannot install the Ctrl-C handler ({error}); Ctrl-C ends the process immediately"
        );
    }
    token
}

/// Ends the process. A terminal that does not accept output delays it by a second at most.
fn leave() {
    let (done, restored) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        #[cfg(feature = "tui")]
        super::dashboard::restore_terminal();
        logging::release();
        let _ = done.send(());
    });
    let _ = restored.recv_timeout(std::time::Duration::from_secs(1));
    temporary_files::remove_all();
    std::process::exit(error::INTERRUPTED.into());
}

/// Calls `on_signal` in a thread for each signal, with the number of signals before it.
#[cfg(unix)]
fn listen(on_signal: impl Fn(usize) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !is_ignored(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().zip(0..).for_each(|(_, n)| on_signal(n)))?;
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
                std::thread::sleep(std::time::Duration::from_millis(100));
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
