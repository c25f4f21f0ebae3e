//! The library's log on standard error.
//!
//! `info` is printed as it is, `warn` and `error` with their level. `LOOP_DML_LOG` sets the filter: a
//! level, or a comma-separated list of targets with levels, such as `debug` or
//! `loop_dml=debug,burn_train=info`.

use std::fmt::{self, Write};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::output::status;

/// The environment variable with the filter.
const FILTER: &str = "LOOP_DML_LOG";

/// What is logged by default: this crate's events from `info` on.
const DEFAULT_FILTER: &str = "loop_dml=info";

/// The most lines that are held back; a debug log of days would fill the memory.
const MAX_HELD: usize = 1000;

/// Lines that are held back while the dashboard controls the terminal.
#[derive(Default)]
struct Held {
    lines: Vec<String>,
    /// Lines beyond [`MAX_HELD`].
    dropped: usize,
}

/// The held lines; `None` if lines are printed at once.
static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// Prints the library's events from now on.
pub(super) fn install() {
    // A subscriber that was installed before, by a test, stays.
    let _ = tracing_subscriber::registry()
        .with(Lines.with_filter(filter()))
        .try_init();
}

/// The filter in the environment, or the default.
fn filter() -> Targets {
    let default = || DEFAULT_FILTER.parse().expect("the default filter is valid");
    let Some(text) = std::env::var_os(FILTER) else {
        return default();
    };
    let text = text.to_string_lossy();
    text.parse().unwrap_or_else(|error| {
        status(format_args!(
            "warning: {FILTER}={text} is ignored ({error}); write a level such as debug, or targets \
             with levels such as {DEFAULT_FILTER}"
        ));
        default()
    })
}

/// Holds lines back until [`release`].
pub(super) fn hold() {
    lock().get_or_insert_default();
}

/// Prints the lines that were held back, and all later ones at once.
pub(super) fn release() {
    let Some(held) = lock().take() else {
        return;
    };
    held.lines.iter().for_each(status);
    if held.dropped > 0 {
        status(format_args!("and {} more lines", held.dropped));
    }
}

/// Prints a line, or holds it back as the log's lines.
pub(super) fn line(line: impl fmt::Display) {
    match &mut *lock() {
        Some(held) if held.lines.len() < MAX_HELD => held.lines.push(line.to_string()),
        Some(held) => held.dropped += 1,
        None => status(line),
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Held>> {
    HELD.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A line for each event.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = match *event.metadata().level() {
            Level::INFO => String::new(),
            level => format!("{}: ", name(level)),
        };
        event.record(&mut Fields(&mut line));
        self::line(line);
    }
}

fn name(level: Level) -> String {
    match level {
        Level::WARN => "warning".to_string(),
        other => other.to_string().to_lowercase(),
    }
}

/// Writes an event's message, then its other fields.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            // Where a record of the crate `log` came from.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a string can be written");
    }
}
