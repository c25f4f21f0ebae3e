//! Progress on standard error: bars in a terminal, elsewhere a line every ten seconds.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::status;
use crate::progress::{Progress, ProgressObserver, Unit};

/// A task that takes no longer than this has neither a bar nor a line.
const SHORT: Duration = Duration::from_secs(2);
/// Time between the lines of a task.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

const BAR: &str = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
const BAR_OF_BYTES: &str =
    "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const COUNTER: &str = "{msg} {human_pos}";
const COUNTER_OF_BYTES: &str = "{msg} {decimal_bytes} {decimal_bytes_per_sec}";

/// Time between two looks at tasks that report nothing, such as one that embeds its first batch.
const TICK: Duration = Duration::from_millis(500);

/// A bar for each task that takes more than two seconds if standard error is a terminal, otherwise a line
/// every ten seconds. Tasks that report nothing for a long time are shown too.
pub(super) struct ProgressBars {
    style: Style,
    tasks: Arc<Mutex<Tasks>>,
    /// Its drop ends the thread that shows tasks without reports.
    ticker: OnceLock<Sender<()>>,
}

type Tasks = BTreeMap<String, State>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
}

/// A task that is running.
struct State {
    start: Instant,
    /// Units that were done before the first report. They must not count as speed.
    before: u64,
    done: u64,
    total: Option<u64>,
    unit: Unit,
    /// Time of the last line.
    printed: Option<Duration>,
    bar: Option<ProgressBar>,
}

impl Default for ProgressBars {
    /// Shows bars if standard error is a terminal that can, else lines.
    fn default() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self::new(match std::io::stderr().is_terminal() && !dumb {
            true => Style::Bars,
            false => Style::Lines,
        })
    }
}

impl ProgressBars {
    fn new(style: Style) -> Self {
        Self {
            style,
            tasks: Arc::default(),
            ticker: OnceLock::new(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        lock(&self.tasks)
    }

    fn start_ticker(&self) -> Sender<()> {
        let (alive, dropped) = channel();
        let tasks = Arc::clone(&self.tasks);
        // Without it, tasks are shown only when they report.
        let _ = thread::Builder::new().spawn(move || {
            while dropped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let mut tasks = lock(&tasks);
                tasks.iter_mut().for_each(|(task, state)| state.show(task));
            }
        });
        alive
    }
}

fn lock(tasks: &Mutex<Tasks>) -> MutexGuard<'_, Tasks> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProgressObserver for ProgressBars {
    fn update(&self, progress: Progress<'_>) {
        self.ticker.get_or_init(|| self.start_ticker());
        let mut tasks = self.tasks();
        if !tasks.contains_key(progress.task) {
            let state = State::new(self.style, &progress);
            tasks.insert(progress.task.to_string(), state);
        }
        let state = tasks.get_mut(progress.task).expect("it was just added");
        state.done = progress.done;
        state.show(progress.task);
    }

    fn finish(&self, task: &str) {
        if let Some(state) = self.tasks().remove(task) {
            state.clear();
        }
    }

    /// Clears the bar of work that failed, so that the error is read.
    fn abandon(&self, task: &str) {
        self.finish(task);
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        self.tasks().values().for_each(State::clear);
    }
}

impl State {
    fn new(style: Style, progress: &Progress<'_>) -> Self {
        Self {
            start: Instant::now(),
            before: progress.done,
            done: progress.done,
            total: progress.total,
            unit: progress.unit,
            printed: None,
            bar: (style == Style::Bars).then(|| hidden_bar(progress)),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Updates the bar or prints a line, if one is due.
    fn show(&mut self, task: &str) {
        let elapsed = self.start.elapsed();
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done);
                if elapsed > SHORT && bar.is_hidden() {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.tick();
                }
            }
            None => {
                if let Some(line) = self.line(task, elapsed) {
                    status(line);
                }
            }
        }
    }

    /// Returns the line to print `elapsed` after the start of the task, if one is due.
    fn line(&mut self, task: &str, elapsed: Duration) -> Option<String> {
        let due = match self.printed {
            None => elapsed > SHORT,
            Some(printed) => elapsed >= printed + LINE_INTERVAL,
        };
        due.then(|| {
            self.printed = Some(elapsed);
            let progress = Progress {
                task,
                done: self.done,
                total: self.total,
                unit: self.unit,
            };
            line(&progress, self.before, elapsed)
        })
    }
}

/// Returns the bar of a task. It is hidden until the task has taken a while.
fn hidden_bar(progress: &Progress<'_>) -> ProgressBar {
    let bytes = progress.unit == Unit::Bytes;
    let template = match (progress.total, bytes) {
        (Some(_), false) => BAR,
        (Some(_), true) => BAR_OF_BYTES,
        (None, false) => COUNTER,
        (None, true) => COUNTER_OF_BYTES,
    };
    let bar = ProgressBar::with_draw_target(progress.total, ProgressDrawTarget::hidden());
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    bar.set_message(progress.task.to_string());
    // What was done before must not count as speed.
    let bar = bar.with_position(progress.done);
    bar.reset_eta();
    bar
}

/// Returns the progress of a task as a line: `embedding: 1,280 / 4,000 images, 9.3 images/s, 4 min left`.
/// `before` is the number of units that were done when the task began.
fn line(progress: &Progress<'_>, before: u64, elapsed: Duration) -> String {
    let unit = progress.unit;
    let done = match progress.total {
        Some(total) => format!("{} / {}", amount(progress.done, unit), amount(total, unit)),
        None => amount(progress.done, unit),
    };
    let rate = progress.done.saturating_sub(before) as f64 / elapsed.as_secs_f64();
    let mut line = match unit {
        Unit::Bytes => format!("{}: {done}", progress.task),
        _ => format!("{}: {done} {}", progress.task, name(unit)),
    };
    if rate > 0.0 {
        line += &match unit {
            Unit::Bytes => format!(", {}/s", amount(rate as u64, unit)),
            _ => format!(", {} {}/s", speed(rate), name(unit)),
        };
        if let Some(total) = progress.total {
            let left = total.saturating_sub(progress.done) as f64 / rate;
            line += &format!(", {} left", duration(left));
        }
    }
    line
}

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Images => "images",
        Unit::Rows => "rows",
        Unit::Bytes => "bytes",
        Unit::Queries => "queries",
        Unit::Repetitions => "repetitions",
        Unit::Iterations => "iterations",
    }
}

/// Returns a number with separators between thousands, or a number of bytes as megabytes.
fn amount(number: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => format!("{:.1} MB", number as f64 / 1e6),
        _ => with_separators(number),
    }
}

fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number per second with two significant digits below 10.
fn speed(rate: f64) -> String {
    if rate >= 9.95 {
        with_separators(rate.round() as u64)
    } else if rate >= 0.095 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.2}")
    }
}

/// Returns a duration as a person says it: `45 s`, `4 min`, `2 h 5 min`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    // Rounded before the unit is chosen, or 59.5 minutes would be 60.
    let minutes = (seconds + 30) / 60;
    match (seconds, minutes) {
        (..90, _) => format!("{seconds} s"),
        (_, ..60) => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(done: u64, total: Option<u64>) -> Progress<'static> {
        Progress {
            task: "embedding",
            done,
            total,
            unit: Unit::Images,
        }
    }

    #[test]
    fn line_has_progress_speed_and_time_left() {
        let seconds = Duration::from_secs_f64;
        assert_eq!(
            line(&images(1280, Some(4000)), 0, seconds(137.6)),
            "embedding: 1,280 / 4,000 images, 9.3 images/s, 5 min left"
        );
        assert_eq!(
            line(&images(1_234_567, None), 0, seconds(10.0)),
            "embedding: 1,234,567 images, 123,457 images/s"
        );
        assert_eq!(
            line(&images(0, Some(4000)), 0, seconds(10.0)),
            "embedding: 0 / 4,000 images"
        );
        assert_eq!(
            line(&images(4000, Some(4000)), 0, seconds(20.0)),
            "embedding: 4,000 / 4,000 images, 200 images/s, 0 s left"
        );
        let bytes = Progress {
            task: "downloading weights",
            done: 61_000_000,
            total: Some(97_800_000),
            unit: Unit::Bytes,
        };
        assert_eq!(
            line(&bytes, 30_000_000, seconds(10.0)),
            "downloading weights: 61.0 MB / 97.8 MB, 3.1 MB/s, 12 s left"
        );
    }

    #[test]
    fn numbers_are_readable() {
        let speeds = [0.04, 0.5, 9.94, 9.96, 99.4, 1500.0].map(speed);
        assert_eq!(speeds, ["0.04", "0.5", "9.9", "10", "99", "1,500"]);
        let durations = [0.4, 89.4, 89.6, 150.0, 3569.0, 3571.0, 7500.0, 1e6].map(duration);
        assert_eq!(
            durations,
            [
                "0 s",
                "89 s",
                "2 min",
                "3 min",
                "59 min",
                "1 h 0 min",
                "2 h 5 min",
                "277 h 47 min"
            ]
        );
        let numbers = [0, 999, 1000, 12_345, 1_000_000].map(with_separators);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,000,000"]);
    }

    #[test]
    fn lines_are_ten_seconds_apart_and_short_tasks_have_none() {
        let mut state = State::new(Style::Lines, &images(0, Some(4000)));
        let mut printed = Vec::new();
        for second in 0..40 {
            let now = Duration::from_secs_f64(f64::from(second) + 0.5);
            if state.line("embedding", now).is_some() {
                printed.push(second);
            }
        }
        assert_eq!(printed, [2, 12, 22, 32]);
    }

    #[test]
    fn bar_of_a_short_task_stays_hidden_and_a_finished_task_is_forgotten() {
        let bars = ProgressBars::new(Style::Bars);
        bars.update(images(5, Some(10)));
        bars.update(images(7, Some(10)));
        {
            let tasks = bars.tasks();
            let bar = tasks["embedding"].bar.as_ref().unwrap();
            assert!(bar.is_hidden());
            assert_eq!((bar.position(), bar.length()), (7, Some(10)));
        }
        bars.finish("embedding");
        assert!(bars.tasks().is_empty());
        // A task that never began.
        bars.finish("ranking");
        bars.update(images(5, Some(10)));
        bars.abandon("embedding");
        assert!(bars.tasks().is_empty());
    }
}
