//! The `loop-dml` binary: parse, dispatch, report; nothing else.

use std::process::ExitCode;

use clap::Parser;

/// Tensors of some 100 KB are allocated and freed thousands of times a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match loop_dml::cli::run(loop_dml::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}
