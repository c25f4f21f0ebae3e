//! What every command needs of the process, checked before the command starts.

use std::panic;
use std::thread;

use super::CliError;

/// Bytes of the stack of the thread that runs the command. An unoptimized build needs more than 2 MiB.
const STACK: usize = 8 << 20;

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

/// Keeps graphics drivers from printing on a machine without a desktop.
///
/// Mesa's Vulkan layer asks for the desktop's graphics card even where nothing is displayed, and its Wayland
/// library prints an error for each try if `XDG_RUNTIME_DIR` is not set, as on most servers. A folder that
/// does not exist is no error. Call it before any thread starts.
pub(super) fn silence_graphics_drivers() {
    #[cfg(all(feature = "wgpu", target_os = "linux"))]
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs that could read the environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("XDG_RUNTIME_DIR", "/nonexistent");
        }
    }
}

/// Checks the working folder, and starts the threads that compute: `threads`, unless RAYON_NUM_THREADS says how many.
///
/// # Errors
///
/// If the working folder was removed, or the system starts too few threads.
pub(super) fn prepare(threads: Option<usize>) -> Result<(), CliError> {
    // CubeCL looks there for its configuration, and panics without it.
    std::env::current_dir().map_err(CliError::WorkingFolder)?;
    start_threads(threads)
}

/// Starts the threads of rayon's global pool, which panics if they are only started on first use.
fn start_threads(threads: Option<usize>) -> Result<(), CliError> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads.filter(|_| std::env::var_os("RAYON_NUM_THREADS").is_none()) {
        pool = pool.num_threads(threads);
    }
    let Err(error) = pool.build_global() else {
        return Ok(());
    };
    match std::error::Error::source(&error) {
        Some(source) => Err(CliError::Threads(source.to_string())),
        // The pool exists.
        None => Ok(()),
    }
}

/// Runs the command on a thread whose stack has a fixed size.
///
/// The stack of the main thread grows as it is used, and depends on `ulimit -s`; where the system cannot let
/// it grow (`ulimit -v`), the process ends without a message.
///
/// # Errors
///
/// If the system does not start the thread, or the command's error.
pub(super) fn on_command_thread(
    command: impl FnOnce() -> Result<(), CliError> + Send,
) -> Result<(), CliError> {
    thread::scope(|scope| {
        let running = thread::Builder::new()
            .name("main".to_string())
            .stack_size(STACK)
            .spawn_scoped(scope, command)
            .map_err(|error| CliError::Threads(error.to_string()))?;
        running
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}
