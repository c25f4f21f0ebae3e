//! Progress bars on standard error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::status;
use crate::progress::{Progress, ProgressObserver, Unit};

const IMAGES: &str = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
const BYTES: &str =
    "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";

/// A bar for each task where standard error is a terminal; elsewhere a line when a task begins.
#[derive(Default)]
pub(super) struct ProgressBars(Mutex<BTreeMap<String, ProgressBar>>);

impl ProgressObserver for ProgressBars {
    fn update(&self, progress: Progress<'_>) {
        let mut bars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars
            .entry(progress.task.to_string())
            .or_insert_with(|| begin(&progress));
        bar.set_position(progress.done);
    }

    fn finish(&self, task: &str) {
        let mut bars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(task) {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ProgressBars {
    /// Clears the bars of work that failed, so that the error is read.
    fn drop(&mut self) {
        let bars = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        bars.values().for_each(ProgressBar::finish_and_clear);
    }
}

fn begin(progress: &Progress<'_>) -> ProgressBar {
    let template = match progress.unit {
        Unit::Images => IMAGES,
        Unit::Bytes => BYTES,
    };
    let bar = match progress.total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    bar.set_message(progress.task.to_string());
    // What is there already must not count as speed.
    let bar = bar.with_position(progress.done);
    bar.reset_eta();
    if bar.is_hidden() {
        status(line(progress));
    }
    bar
}

/// A task that begins, as a line.
fn line(progress: &Progress<'_>) -> String {
    let count = |count: u64| match progress.unit {
        Unit::Images => format!("{count} images"),
        Unit::Bytes => indicatif::DecimalBytes(count).to_string(),
    };
    let total = progress.total.map_or("unknown size".into(), count);
    match progress.done {
        0 => format!("{} ({total})", progress.task),
        done => format!(
            "{} ({total}, resuming after {})",
            progress.task,
            count(done)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_there_is_and_where_it_resumes() {
        let mut progress = Progress {
            task: "downloading a.pth",
            done: 0,
            total: Some(2_000_000),
            unit: Unit::Bytes,
        };
        assert_eq!(line(&progress), "downloading a.pth (2.00 MB)");
        progress.done = 500_000;
        assert_eq!(
            line(&progress),
            "downloading a.pth (2.00 MB, resuming after 500.00 kB)"
        );
    }
}
