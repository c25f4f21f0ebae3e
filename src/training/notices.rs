//! What a training tells on standard error before and after its epochs.

use super::run_folder::{RunFolder, RunRecord};
use crate::data::Splits;

/// Skipped images that are named; a file system that fails would fill the screen.
const NAMED: usize = 5;

/// What is trained, on what, and what is odd about it.
pub(super) fn announce(folder: &RunFolder, record: &RunRecord, splits: &Splits) {
    for warning in &splits.warnings {
        eprintln!("warning: {warning}");
    }
    for split in [&splits.train, &splits.test] {
        let left_out = split.left_out().iter().map(ToString::to_string);
        tell_skipped(&left_out.collect::<Vec<_>>());
    }
    eprintln!(
        "run {}: {} train, {} test, {} parameters, {}",
        folder.path().display(),
        record.train,
        record.test,
        record.parameters,
        record.backend
    );
    if let Some(coverage) = record.coverage {
        eprintln!(
            "an epoch meets {:.1} % of the training images and {:.1} % of the classes",
            100.0 * coverage.images,
            100.0 * coverage.classes
        );
    }
}

/// How many images were skipped, and the first of them.
pub fn tell_skipped(skipped: &[String]) {
    if skipped.is_empty() {
        return;
    }
    eprintln!("warning: {} image(s) skipped:", skipped.len());
    for reason in skipped.iter().take(NAMED) {
        eprintln!("  {reason}");
    }
    if skipped.len() > NAMED {
        eprintln!("  and {} more", skipped.len() - NAMED);
    }
}
