//! Catches panics of libraries and turns them into values.
//!
//! Image decoders and file parsers panic on malformed bytes, and GPU backends panic if a driver is
//! missing. The panic hook, which prints a message, belongs to the whole process. It is replaced
//! once, on first use, by a hook that forwards to the previous one unless a capture is active.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

thread_local! {
    /// Whether this thread's panics are expected and not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The panic texts of all threads since [`catch_with_texts`] began; `None` if it is not running.
static TEXTS: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// A panic that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Returns the value of `f`, or [`Panicked`] if it panics on this thread. The panic is not printed.
///
/// Panics of threads that `f` starts are printed as usual.
pub(crate) fn catch_quietly<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    install();
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    result.map_err(|_| Panicked)
}

/// Returns the value of `f`, or the texts of the panics of all threads, one paragraph each, if it
/// panics on this thread. None of them is printed.
///
/// The first panic of a GPU backend, which has the cause, is often in a thread of its runtime.
/// Calls from several threads wait for each other. A call must not be nested in another.
pub(crate) fn catch_with_texts<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    install();
    let _one_at_a_time = lock(&ONE_AT_A_TIME);
    *lock(&TEXTS) = Some(Vec::new());
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let texts = lock(&TEXTS).take().unwrap_or_default();
    result.map_err(|_| texts.join("\n\n"))
}

/// Installs the hook. It is installed on first use; call this before code that replaces the panic hook
/// for a while and then restores the hook that it found.
pub(crate) fn install() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() && !collect(info) {
                previous(info);
            }
        }));
    });
}

/// Adds the panic's text to the collected ones. Returns `false` if none are collected.
fn collect(info: &PanicHookInfo<'_>) -> bool {
    let mut texts = lock(&TEXTS);
    let Some(texts) = texts.as_mut() else {
        return false;
    };
    let text = info.payload_as_str().unwrap_or("unknown panic").trim();
    texts.push(text.to_string());
    true
}

/// Locks a mutex whose contents are valid even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_capture_returns_the_value_or_the_panic_and_ends() {
        assert_eq!(catch_quietly(|| 7), Ok(7));
        assert_eq!(
            catch_quietly(|| -> u8 { panic!("a decoder") }),
            Err(Panicked)
        );
        assert!(!QUIET.get());
    }

    #[test]
    fn first_panic_of_another_thread_comes_first() {
        let caught = catch_with_texts(|| {
            let failed = std::thread::spawn(|| panic!("libcuda is missing")).join();
            failed.expect("the device thread answers");
        });
        let text = caught.unwrap_err();
        assert!(text.starts_with("libcuda is missing\n\n"), "{text}");
        assert!(text.contains("the device thread answers"), "{text}");
    }

    #[test]
    fn capture_with_texts_returns_the_value_and_ends() {
        assert_eq!(catch_with_texts(|| 7), Ok(7));
        assert_eq!(
            catch_with_texts(|| -> u8 { panic!("a driver") })
                .map_err(|text| text.contains("a driver")),
            Err(true)
        );
        assert_eq!(catch_with_texts(|| 8), Ok(8));
    }

    #[test]
    fn quiet_panics_are_not_among_the_texts() {
        let caught = catch_with_texts(|| {
            let inner = catch_quietly(|| -> u8 { panic!("a quiet panic") });
            assert_eq!(inner, Err(Panicked));
            panic!("a loud panic");
        });
        let text = caught.unwrap_err();
        assert!(text.contains("a loud panic"), "{text}");
        assert!(!text.contains("a quiet panic"), "{text}");
    }
}
