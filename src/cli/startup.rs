//! What every command needs of the process, checked before the command starts.

use super::CliError;

/// Makes writing beyond the limit on file sizes (`ulimit -f`) an error. By default the signal SIGXFSZ ends
/// the process without a message.
pub(super) fn report_file_size_limit() {
    #[cfg(unix)]
    {
        // The signal needs a handler that does nothing; registering one fails only for other signals.
        let signalled = std::sync::Arc::default();
        let _ = signal_hook::flag::register(signal_hook::consts::signal::SIGXFSZ, signalled);
    }
}

/// Checks the working folder, and starts the threads that compute.
///
/// # Errors
///
/// If the working folder was removed, or the system starts too few threads.
pub(super) fn prepare() -> Result<(), CliError> {
    // CubeCL looks there for its configuration, and panics without it.
    std::env::current_dir().map_err(CliError::WorkingFolder)?;
    start_threads()
}

/// Starts the threads of rayon's global pool, which panics if they are only started on first use.
fn start_threads() -> Result<(), CliError> {
    let Err(error) = rayon::ThreadPoolBuilder::new().build_global() else {
        return Ok(());
    };
    match std::error::Error::source(&error) {
        Some(source) => Err(CliError::Threads(source.to_string())),
        // The pool exists.
        None => Ok(()),
    }
}
