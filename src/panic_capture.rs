//! Catches panics of libraries and turns them into values.
//!
//! Image decoders and file parsers panic on malformed bytes, and GPU backends panic if a driver is
//! missing. The panic hook, which prints a message, belongs to the whole process. It is replaced
//! once, on first use, by a hook that forwards to the previous one unless a capture is active.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

thread_local! {
    /// Whether this thread's panics are expected and not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The panic texts of all threads since [`catch_with_texts`] began; `None` if it is not running.
static TEXTS: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// The names of threads whose panics are expected and not printed.
static QUIET_THREADS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Called before an unexpected panic is printed.
static BEFORE_PRINTING: Mutex<Option<fn()>> = Mutex::new(None);

/// The address of the hook that was installed last.
static INSTALLED: AtomicUsize = AtomicUsize::new(0);

/// A panic hook.
type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// A panic that was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Returns the value of `f`, or [`Panicked`] if it panics on this thread. The panic is not printed.
///
/// Panics of threads that `f` starts are printed as usual.
pub(crate) fn catch_quietly<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_message(f).map_err(|_| Panicked)
}

/// Returns the value of `f`, or the message of its panic on this thread, as [`catch_quietly`] does.
pub(crate) fn catch_message<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    install();
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    result.map_err(|payload| {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        message.unwrap_or("unknown panic").to_string()
    })
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
    HOOK.call_once(|| set_hook_above(panic::take_hook()));
}

/// Installs the hook above one that a library has installed, so that the library's hook runs for
/// unexpected panics only. Returns `false` if no library has installed one.
///
/// The hook is removed when the library restores the hook that it found.
#[cfg_attr(not(feature = "tui"), expect(dead_code))]
pub(crate) fn cover_foreign_hook() -> bool {
    install();
    let current = panic::take_hook();
    let foreign = address(&current) != INSTALLED.load(Ordering::Relaxed);
    if foreign {
        set_hook_above(current);
    } else {
        panic::set_hook(current);
    }
    foreign
}

/// Stops printing the panics of threads with this name. The code that starts such a thread must detect its end.
#[cfg_attr(not(feature = "tui"), expect(dead_code))]
pub(crate) fn silence_thread(name: &'static str) {
    lock(&QUIET_THREADS).push(name);
}

/// Calls `prepare` before an unexpected panic is printed, such as to make the terminal readable.
#[cfg_attr(not(feature = "tui"), expect(dead_code))]
pub(crate) fn before_printing(prepare: fn()) {
    *lock(&BEFORE_PRINTING) = Some(prepare);
}

/// Installs a hook that forwards unexpected panics to `previous`.
fn set_hook_above(previous: Hook) {
    // It captures a value, so that its address is unique.
    let hook: Hook = Box::new(move |info| {
        if !is_expected(info) {
            let before = *lock(&BEFORE_PRINTING);
            if let Some(before) = before {
                before();
            }
            previous(info);
        }
    });
    INSTALLED.store(address(&hook), Ordering::Relaxed);
    panic::set_hook(hook);
}

fn address(hook: &Hook) -> usize {
    (&raw const **hook).cast::<()>().addr()
}

/// Whether a panic is not to be printed.
fn is_expected(info: &PanicHookInfo<'_>) -> bool {
    let thread = std::thread::current();
    let silenced = |name: &str| lock(&QUIET_THREADS).contains(&name);
    QUIET.get() || thread.name().is_some_and(silenced) || collect(info)
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
    fn message_of_a_quiet_panic_is_returned() {
        assert_eq!(catch_message(|| 7), Ok(7));
        let number = 3;
        let caught = catch_message(|| -> u8 { panic!("renderer {number}") });
        assert_eq!(caught, Err("renderer 3".to_string()));
        let caught = catch_message(|| -> u8 { panic!("a renderer") });
        assert_eq!(caught, Err("a renderer".to_string()));
    }

    #[test]
    fn covered_hook_runs_for_unexpected_panics_only() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        const TEXT: &str = "a panic under a library's hook";
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| match info.payload_as_str() {
            Some(TEXT) => drop(CALLS.fetch_add(1, Ordering::Relaxed)),
            _ => previous(info),
        }));
        assert!(cover_foreign_hook());
        assert!(!cover_foreign_hook());
        assert!(catch_quietly(|| panic!("{TEXT}")).is_err());
        silence_thread("a silenced thread");
        let silenced = std::thread::Builder::new().name("a silenced thread".into());
        let silenced = silenced.spawn(|| panic!("{TEXT}")).unwrap();
        assert!(silenced.join().is_err());
        assert_eq!(CALLS.load(Ordering::Relaxed), 0);
        assert!(panic::catch_unwind(|| panic!("{TEXT}")).is_err());
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
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
