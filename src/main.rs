//! The `loop-dml` binary.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::remember_terminal();
    allocator::keep_freed_memory();
    loop_dml::cli::main()
}
