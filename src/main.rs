//! The `loop-dml` binary.

mod allocator;
mod out_of_memory;

use std::process::ExitCode;

fn main() -> ExitCode {
    out_of_memory::remember_terminal();
    allocator::keep_freed_memory();
    loop_dml::cli::main()
}
