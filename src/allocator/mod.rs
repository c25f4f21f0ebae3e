//! The allocator of the binary: mimalloc, and one message where there is no memory left.

mod out_of_memory;

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

pub(crate) use out_of_memory::remember_terminal;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// mimalloc. If it cannot allocate, the process ends with a message and status 1; by default it aborts,
/// which looks like a crash.
///
/// Tensors of some 100 KB are allocated and freed thousands of times a second. With the system's
/// allocator each of them is mapped and unmapped.
///
/// An allocator cannot know whether its caller could do without the memory, as those of `Vec::try_reserve`
/// can. In this program these are the standard library's functions that read whole files, and image
/// decoders, within limits of their own. Their error would name the file, but a process that cannot
/// allocate a file's bytes does not get far.
struct Allocator;

/// Returns what was allocated, or ends the process.
#[inline]
fn allocated(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        out_of_memory::end(bytes);
    }
    pointer
}

// SAFETY: mimalloc allocates; what it returns is returned unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        allocated(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        allocated(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`.
        allocated(
            unsafe { MiMalloc.realloc(pointer, layout, new_size) },
            new_size,
        )
    }
}

/// `mi_option_purge_delay` of mimalloc.h, for which the bindings have no name. The number belongs to
/// the version of mimalloc that Cargo.toml pins; a test compares it with the environment variable.
const PURGE_DELAY: mi_option_t = 15;

/// The environment variable that sets [`PURGE_DELAY`], in milliseconds.
const PURGE_DELAY_VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// The [`PURGE_DELAY`] with which freed memory is never returned to the system.
const NEVER: i32 = -1;

/// Keeps freed memory instead of returning it to the system after mimalloc's delay of one second.
/// Every training step asks for the same memory again, and the system clears each page that it hands
/// out, which takes a tenth of a step's time. `MIMALLOC_PURGE_DELAY` overrides this.
///
/// mimalloc reads the variable before `main`, so it cannot be set here instead.
pub(crate) fn keep_freed_memory() {
    if std::env::var_os(PURGE_DELAY_VARIABLE).is_none() {
        // SAFETY: it sets a number, and no other thread runs yet that could read it.
        #[allow(unsafe_code)]
        unsafe {
            mi_option_set(PURGE_DELAY, NEVER.into())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use libmimalloc_sys::mi_option_get;

    use super::*;

    const TEST: &str = "allocator::tests::purge_delay_number_matches_the_environment_variable";

    /// The environment variable with the delay that the child process expects.
    const EXPECTED: &str = "LOOP_DML_TEST_PURGE_DELAY";

    /// Runs itself again: mimalloc reads its variables when a process starts.
    #[test]
    fn purge_delay_number_matches_the_environment_variable() {
        if let Ok(expected) = env::var(EXPECTED) {
            keep_freed_memory();
            // SAFETY: it reads a number, which no other thread changes.
            #[allow(unsafe_code)]
            let delay = unsafe { mi_option_get(PURGE_DELAY) };
            assert_eq!(delay.to_string(), expected);
            return;
        }
        for (variable, expected) in [(Some("1234"), "1234"), (None, "-1")] {
            let mut child = Command::new(env::current_exe().unwrap());
            child.args(["--exact", TEST]).env(EXPECTED, expected);
            match variable {
                Some(delay) => child.env(PURGE_DELAY_VARIABLE, delay),
                None => child.env_remove(PURGE_DELAY_VARIABLE),
            };
            let output = child.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("1 passed"), "{variable:?}: {text}");
        }
    }
}
