//! Starts the program again if CUDA's headers and compiler are installed in folders that this process
//! does not search, such as wheels from PyPI.
//!
//! CubeCL finds the headers by the variable `CUDA_PATH`, and the dynamic linker finds NVRTC by
//! `LD_LIBRARY_PATH`, which it reads only when a process starts. The process is replaced by the same
//! program with the same arguments and both variables. On Unix it keeps its process id, its terminal
//! and its open files. Nothing is read or written before.

use crate::backend::{CudaEnvironment, cuda_environment};

/// Set in the environment of a program that was started again, so that it happens only once.
const RESTARTED: &str = "LOOP_DML_CUDA_RESTARTED";

/// Replaces this process if CUDA needs another environment. If that fails, the error of the CUDA
/// backend names the variables to set.
pub(super) fn restart_if_needed() {
    if std::env::var_os(RESTARTED).is_some() {
        return;
    }
    if let Some(environment) = cuda_environment() {
        restart(&environment);
    }
}

#[cfg(unix)]
fn restart(environment: &CudaEnvironment) {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let folders = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(environment.library_folder.clone())
        .chain(std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()));
    let Ok(folders) = std::env::join_paths(folders) else {
        return;
    };
    // `exec` returns only if the program cannot be started.
    let _failure = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("CUDA_PATH", &environment.cuda_path)
        .env("LD_LIBRARY_PATH", folders)
        .env(RESTARTED, "1")
        .exec();
}

#[cfg(not(unix))]
fn restart(_: &CudaEnvironment) {}
