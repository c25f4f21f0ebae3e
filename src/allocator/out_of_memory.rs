//! The end of the program where memory cannot be allocated: one message and status 1, instead of an abort.
//!
//! Nothing here allocates memory.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Exit status of a failure that is not the user's.
const FAILURE: i32 = 1;

/// Prints that `bytes` bytes cannot be allocated, and ends the process. What a command has not completed
/// is left as SIGKILL leaves it.
#[cold]
pub(super) fn end(bytes: usize) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    if ENDING.swap(true, Ordering::Relaxed) {
        // Another thread ends the process.
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    let message = message(bytes);
    restore_terminal();
    print(message.as_bytes());
    exit()
}

fn message(bytes: usize) -> Text {
    let mut text = Text::default();
    let written = writeln!(
        text,
        "error: out of memory: cannot allocate {bytes} bytes; use a smaller batch, smaller images or fewer \
         threads (RAYON_NUM_THREADS); resume a training from its last checkpoint with: loop-dml train \
         --resume --run RUN"
    );
    // A longer text is cut off.
    let _ = written;
    text
}

/// A text on the stack.
struct Text {
    bytes: [u8; 400],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; 400],
            length: 0,
        }
    }
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len());
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{stderr, stdin, stdout};
    use std::sync::OnceLock;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Leaves the alternate screen of the dashboard and shows the cursor.
    const LEAVE_DASHBOARD: &[u8] = b"\x1b[?1049l\x1b[?25h";

    /// The settings of the terminal when the program started.
    static TERMINAL: OnceLock<Termios> = OnceLock::new();

    /// Remembers the settings of the terminal.
    pub(crate) fn remember_terminal() {
        if let Ok(settings) = tcgetattr(stdin()) {
            let _ = TERMINAL.set(settings);
        }
    }

    /// Leaves the dashboard, which has changed the settings of the terminal, if it is open.
    pub(super) fn restore_terminal() {
        let Some(settings) = TERMINAL.get() else {
            return;
        };
        let by_line = |settings: &Termios| settings.local_modes.contains(LocalModes::ICANON);
        if by_line(settings) && tcgetattr(stdin()).is_ok_and(|now| !by_line(&now)) {
            let _ = rustix::io::write(stdout(), LEAVE_DASHBOARD);
            let _ = tcsetattr(stdin(), OptionalActions::Now, settings);
        }
    }

    pub(super) fn print(message: &[u8]) {
        let _ = rustix::io::write(stderr(), message);
    }

    pub(super) fn exit() -> ! {
        // SAFETY: it ends the process without running anything else of it. `std::process::exit` runs
        // handlers that may need memory.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(super::FAILURE)
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io::Write;

    pub(crate) fn remember_terminal() {}

    pub(super) fn restore_terminal() {}

    pub(super) fn print(message: &[u8]) {
        let _ = std::io::stderr().write_all(message);
    }

    pub(super) fn exit() -> ! {
        std::process::exit(super::FAILURE)
    }
}

#[cfg(not(unix))]
use other as system;
pub(crate) use system::remember_terminal;
use system::{exit, print, restore_terminal};
#[cfg(unix)]
use unix as system;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_message_is_complete() {
        let message = message(usize::MAX);
        let text = str::from_utf8(message.as_bytes()).unwrap();
        assert!(text.starts_with("error: out of memory"), "{text}");
        assert!(text.ends_with("--resume --run RUN\n"), "{text}");
    }
}
