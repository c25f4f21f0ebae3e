//! The state of the terminal while a dashboard controls it.

use std::io;
#[cfg(not(unix))]
use std::io::Write;
use std::time::Duration;

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{LeaveAlternateScreen, disable_raw_mode, is_raw_mode_enabled};

/// Gives the terminal back as it was before the dashboard: the usual screen, the cursor, and the mode of
/// the keys. Does nothing if no dashboard controls it.
/// Also gives standard error back.
pub(in crate::cli) fn restore_terminal() {
    if is_controlled() {
        // Each step is tried even if one before it failed.
        let _ = disable_raw_mode();
        let mut codes = Vec::new();
        let _ = queue!(codes, LeaveAlternateScreen, Show);
        let _ = write_unlocked(&codes);
    }
    #[cfg(unix)]
    super::held_stderr::release();
}

/// Whether a dashboard controls the terminal.
pub(super) fn is_controlled() -> bool {
    is_raw_mode_enabled().unwrap_or(false)
}

/// Writes to standard output without its lock, which a dashboard may hold while the terminal is stopped.
#[cfg(unix)]
fn write_unlocked(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(rustix::stdio::stdout(), rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

#[cfg(not(unix))]
fn write_unlocked(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

/// Makes Ctrl-C a signal again, which the raw mode of a dashboard turns into a key. The keys that suspend
/// the process or dump its memory have no effect, because they would leave the terminal in raw mode.
#[cfg(unix)]
pub(super) fn deliver_interrupts() -> io::Result<()> {
    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

    /// The value that disables a special character.
    const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

    let terminal = rustix::stdio::stdin();
    let mut settings = tcgetattr(terminal)?;
    settings.local_modes |= LocalModes::ISIG;
    for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        settings.special_codes[key] = DISABLED;
    }
    Ok(tcsetattr(terminal, OptionalActions::Now, &settings)?)
}

#[cfg(not(unix))]
pub(super) fn deliver_interrupts() -> io::Result<()> {
    Ok(())
}

/// What [`wait_for_keys`] found.
pub(super) enum Keys {
    /// Nothing, in the time given.
    None,
    /// A key or another event can be read.
    Ready,
    /// The terminal was closed.
    Closed,
}

/// Waits for keys. crossterm would read from a closed terminal forever.
#[cfg(unix)]
pub(super) fn wait_for_keys(timeout: Duration) -> io::Result<Keys> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    let terminal = rustix::stdio::stdin();
    let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&timeout)) {
        // A signal, such as that of a resize.
        Err(Errno::INTR) => return Ok(Keys::Ready),
        result => result?,
    };
    let found = polled[0].revents();
    let ended = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    Ok(if found.intersects(ended) || super::hang_up::is_closed() {
        Keys::Closed
    } else if found.contains(PollFlags::IN) {
        Keys::Ready
    } else {
        Keys::None
    })
}

#[cfg(not(unix))]
pub(super) fn wait_for_keys(timeout: Duration) -> io::Result<Keys> {
    Ok(match ratatui::crossterm::event::poll(timeout)? {
        true => Keys::Ready,
        false => Keys::None,
    })
}
