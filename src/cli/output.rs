//! Standard output and standard error that survive a closed pipe.
//!
//! Nothing else in the crate writes to the terminal; `print_stdout` and `print_stderr` of clippy are
//! denied. Characters that a terminal acts on are escaped, because names of files, classes and tensors
//! come from elsewhere. A name in a text of several lines is escaped where the text is written, because
//! its line breaks look like those of the text.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::CliError;
use crate::escape::{escaped, escaped_json, escaped_lines};

/// Prints a line on standard output. A reader such as `head` may have closed the pipe, which is no
/// error; the command ends quietly.
///
/// # Errors
///
/// When the line cannot be written for another reason, such as a full disk.
pub(super) fn print(line: impl Display) -> Result<(), CliError> {
    written(write_line(io::stdout().lock(), escaped(&line.to_string())))
}

/// Prints lines on standard output, as [`print()`] does a line.
///
/// # Errors
///
/// Those of [`print()`].
pub(super) fn print_lines(text: impl Display) -> Result<(), CliError> {
    written(write_line(
        io::stdout().lock(),
        escaped_lines(&text.to_string()),
    ))
}

/// Prints JSON on standard output, as [`print()`] does a line.
///
/// # Errors
///
/// Those of [`print()`].
pub(super) fn print_json(json: impl Display) -> Result<(), CliError> {
    written(write_line(
        io::stdout().lock(),
        escaped_json(&json.to_string()),
    ))
}

/// The error of [`print()`] for the result of writing.
pub(super) fn written(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Stdout(error)),
        _ => Ok(()),
    }
}

/// Clears the last line of the terminal, where a progress bar may be.
pub(super) fn clear_bar() {
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        let _ = stderr.write_all(b"\r\x1b[2K");
    }
}

/// Prints a line on standard error. A line that cannot be written is dropped: messages never end a
/// command.
pub(super) fn status(line: impl Display) {
    let _ = write_line(io::stderr().lock(), escaped(&line.to_string()));
}

/// Whether nothing is written.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Writes nothing from now on: another process writes what this one would.
#[cfg(feature = "mpi")]
pub(super) fn silence() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Writes again.
#[cfg(feature = "mpi")]
pub(super) fn unsilence() {
    SILENT.store(false, Ordering::Relaxed);
}

/// Prints lines on standard error, as [`status`] does a line.
pub(super) fn status_lines(text: impl Display) {
    let _ = write_line(io::stderr().lock(), escaped_lines(&text.to_string()));
}

/// Writes the whole line at once, so that lines of several threads do not mix.
fn write_line(mut output: impl Write, line: impl Display) -> io::Result<()> {
    if SILENT.load(Ordering::Relaxed) {
        return Ok(());
    }
    output.write_all(format!("{line}\n").as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_an_error_value_and_no_panic() {
        let error = write_line(Closed, "lost").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_line_is_written_whole() {
        let mut written = Vec::new();
        write_line(&mut written, "a line").unwrap();
        assert_eq!(written, b"a line\n");
    }
}
