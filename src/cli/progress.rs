//! Progress bars on standard error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use crate::progress::{Progress, ProgressObserver, Unit};

const IMAGES: &str = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
const BYTES: &str =
    "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";

/// A bar for each task if standard error is a terminal.
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
    // What was done before must not count as speed.
    let bar = bar.with_position(progress.done);
    bar.reset_eta();
    bar
}
