//! Whether the terminal was closed.

/// Whether the terminal was closed.
pub(super) fn is_closed() -> bool {
    #[cfg(unix)]
    return rustix::termios::tcgetattr(rustix::stdio::stdin()).is_err();
    #[cfg(not(unix))]
    return false;
}
