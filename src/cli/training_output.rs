//! What a training prints on standard error.

use std::sync::Arc;

use super::logging;
use super::output::status;
use super::progress::ProgressBars;
use crate::config::Protocol;
use crate::evaluation::Recall;
use crate::progress::{Progress, ProgressObserver};
use crate::training::{
    CheckpointPosition, Display, EndReason, EpochRecord, RunFolder, RunRecord, TrainingEvent,
    TrainingObserver, TrainingSummary,
};

/// Skipped images that are named; a file system that fails would fill the screen.
const NAMED: usize = 5;

/// Prints a line for each event, and bars for what takes long.
pub(super) struct TrainingOutput {
    display: Display,
    bars: ProgressBars,
}

impl TrainingOutput {
    pub(super) fn new(display: Display) -> Arc<Self> {
        Arc::new(Self {
            display,
            bars: ProgressBars::default(),
        })
    }
}

impl ProgressObserver for TrainingOutput {
    fn update(&self, progress: Progress<'_>) {
        self.bars.update(progress);
    }

    fn finish(&self, task: &str) {
        self.bars.finish(task);
    }
}

impl TrainingObserver for TrainingOutput {
    fn event(&self, event: TrainingEvent<'_>) {
        match event {
            TrainingEvent::FolderCreated { path } => {
                status(format_args!("run folder {}", path.display()));
            }
            TrainingEvent::Started {
                folder,
                record,
                resumed,
            } => print_start(folder, record, resumed),
            TrainingEvent::LoopStarted if self.display == Display::Dashboard => logging::hold(),
            TrainingEvent::LoopStarted => {}
            TrainingEvent::EpochRecorded { record, epochs, .. } => {
                let untrained = record.epoch == 0;
                if untrained || self.display == Display::Lines {
                    status(epoch_line(record, epochs));
                }
            }
            TrainingEvent::LoopEnded => logging::release(),
            TrainingEvent::ImagesSkipped { causes } => print_skipped(causes),
        }
    }
}

/// What is trained, on what.
fn print_start(folder: &RunFolder, record: &RunRecord, resumed: Option<CheckpointPosition>) {
    let validation = match &record.validation {
        Some(validation) => format!(", {validation} validate"),
        None => String::new(),
    };
    status(format_args!(
        "run {}: {} train{validation}, {} test, {} parameters, {}",
        folder.path().display(),
        record.train,
        record.test,
        record.parameters,
        record.backend
    ));
    status(chosen_by(record.protocol));
    if let Some(coverage) = record.coverage {
        status(format_args!(
            "an epoch covers {:.1} % of the training images and {:.1} % of the classes",
            100.0 * coverage.images,
            100.0 * coverage.classes
        ));
    }
    match resumed {
        None => {}
        Some(position) if position == CheckpointPosition::end_of(0) => {
            status("resumed before the first epoch");
        }
        Some(position) => status(format_args!("resumed after {position}")),
    }
}

/// The split that chooses the best epoch.
fn chosen_by(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Validated => {
            "protocol validated: the validation classes choose the best epoch, the test split is measured \
             once at the end"
        }
        Protocol::Published => {
            "protocol published: the test split chooses the best epoch, as in published tables"
        }
    }
}

/// The result, and how to evaluate it.
pub(super) fn print_summary(summary: &TrainingSummary) {
    let result = &summary.result;
    let folder = summary.folder.path().display();
    let line = |recall: &Recall| {
        recall
            .at
            .iter()
            .map(|(k, share)| format!("R@{k} {:.2} %", 100.0 * share))
            .collect::<Vec<_>>()
            .join("  ")
    };
    if summary.was_finished {
        status(format_args!(
            "run {folder} is finished and was not changed; train more epochs with --set \
             training.epochs=N"
        ));
    }
    if result.reason == EndReason::EarlyStopping {
        status(format_args!(
            "stopped early after epoch {}: R@1 has not risen since epoch {}; continue with --resume --set \
             training.early_stopping=N",
            result.epochs, result.best_epoch
        ));
    }
    let split = match result.protocol {
        Protocol::Validated => "validation",
        Protocol::Published => "test",
    };
    let best = result.validation.as_ref().unwrap_or(&result.test);
    let epoch = result.best_epoch;
    status(format_args!(
        "untrained    {}  ({split})",
        line(&summary.untrained)
    ));
    status(format_args!(
        "best         {}  ({split}, epoch {epoch})",
        line(best)
    ));
    match result.protocol {
        Protocol::Validated => status(format_args!(
            "test         {}  (epoch {epoch}, chosen by the validation classes)",
            line(&result.test)
        )),
        Protocol::Published => {
            status("the best epoch was chosen by the test split (protocol published)")
        }
    }
    status(format_args!("evaluate with: loop-dml evaluate {folder}"));
}

/// The number of skipped images, and the causes of the first.
pub(super) fn print_skipped(causes: &[String]) {
    if causes.is_empty() {
        return;
    }
    status(format_args!("warning: {} image(s) skipped:", causes.len()));
    for cause in causes.iter().take(NAMED) {
        status(format_args!("  {cause}"));
    }
    if causes.len() > NAMED {
        status(format_args!("  and {} more", causes.len() - NAMED));
    }
}

/// An epoch as a line.
fn epoch_line(record: &EpochRecord, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut line = match record.epoch {
        0 => format!("{:<1$}", "untrained", "epoch /".len() + 2 * width),
        epoch => format!("epoch {epoch:>width$}/{epochs}"),
    };
    let training = |key: &str| record.training.get(key).copied();
    if let Some(loss) = training("loss") {
        line += &format!("  loss {loss:.4}");
    }
    for name in ["d", "s"] {
        let hardest = |kind: &str| training(&format!("{name}_{kind}"));
        if let (Some(positive), Some(negative)) = (hardest("positive"), hardest("negative")) {
            line += &format!("  {name}+ {positive:.3}  {name}- {negative:.3}");
        }
    }
    if let Some(active) = training("active") {
        line += &format!("  active {active:5.1} %");
    }
    if let Some(recall) = &record.recall {
        for (k, share) in &recall.at {
            line += &format!("  R@{k} {:.2}", 100.0 * share);
        }
    }
    line + &format!("  ({:.1} s)", record.seconds)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn line_shows_what_the_epoch_has() {
        let mut record = EpochRecord {
            epoch: 0,
            training: BTreeMap::new(),
            recall: Some(Recall {
                at: [(1, 0.25), (2, 0.5)].into(),
                queries: 4,
            }),
            seconds: 1.25,
        };
        assert_eq!(
            epoch_line(&record, 20),
            "untrained    R@1 25.00  R@2 50.00  (1.2 s)"
        );
        record.epoch = 3;
        record.training = [("loss".to_string(), 0.5)].into();
        record.recall = None;
        assert_eq!(epoch_line(&record, 20), "epoch  3/20  loss 0.5000  (1.2 s)");
    }
}
