//! The `loop-dml` binary.

use std::process::ExitCode;

/// Tensors of some 100 KB are allocated and freed thousands of times a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps memory that is freed instead of returning it to the system after 10 ms: every training step
/// asks for the same again, and pages that come back have to be cleared one by one, a tenth of a step's
/// time. `MIMALLOC_PURGE_DELAY` says otherwise.
fn keep_freed_memory() {
    use libmimalloc_sys::{mi_option_set, mi_option_t, mi_option_use_numa_nodes};

    // The option before this one in mimalloc.h, for which the bindings have no name.
    const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;
    const NEVER: i32 = -1;

    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: it sets a number, and no other thread is there yet to read it.
        #[allow(unsafe_code)]
        unsafe {
            mi_option_set(PURGE_DELAY, NEVER.into())
        };
    }
}

fn main() -> ExitCode {
    keep_freed_memory();
    loop_dml::cli::main()
}
