//! TensorBoard while training: `tensorboard/events.out.tfevents.…` in the run folder.
//!
//! A step is an epoch, because that is what `metrics.jsonl` records: losses and rates are means over an epoch, and
//! the recall is that of its end. Epoch 0 is the untrained network.
//!
//! | tag | epochs | content |
//! | --- | --- | --- |
//! | `loss`, `lr`, `training/…` | from 1 | the training metrics of `metrics.jsonl` |
//! | `metric/R1`, …, `metric/MAP@R` | evaluated | Recall@K and MAP@R on the split that chooses the best epoch, 0 to 1 |
//! | `time/epoch_seconds` | all | seconds |
//! | `distance/positive`, `distance/negative` | evaluated | histograms of the distances of pairs of images |
//! | `queries/worst`, `queries/worst_files` | best so far | the worst queries with their neighbours: images and their names |
//! | HPARAMS | | keys of the configuration that the run began with |
//!
//! `metrics.jsonl` is the truth: an event file that does not agree with it is rewritten on resuming. All that an
//! epoch has is one record, written at once, so a reader sees all of it or nothing. A failure to write never ends a
//! training.

mod epoch_summary;
mod event_file;
mod histogram;
mod hyper_parameters;
mod messages;
mod query_sheet;
mod record;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use epoch_summary::summary;
use event_file::EventFile;
use hyper_parameters::hyper_parameters;
use query_sheet::QuerySheet;

use super::run_folder::EpochRecord;
use super::validation::{Inspection, WorstQuery};
use crate::config::Config;
use crate::data::Split;

/// Bytes of an epoch's scalars, and of its histograms if it is evaluated.
const SCALAR_BYTES: u64 = 1 << 10;
const HISTOGRAM_BYTES: u64 = 2 << 10;
/// Bytes of a contact sheet, and the number of epochs that are assumed to be the best so far.
const SHEET_BYTES: u64 = 100 << 10;
const ASSUMED_SHEETS: u64 = 50;

/// Writes the epochs of a training for TensorBoard.
pub(super) struct EventLog {
    /// The folder of the event file.
    folder: PathBuf,
    /// `None` if `training.tensorboard` is false, and after a failure.
    file: Option<EventFile>,
    /// The images that are evaluated.
    split: Split,
    /// Whether an image that cannot be read was reported.
    reported: bool,
}

impl EventLog {
    /// Continues the event file in `folder` after the epochs of `history`, or creates both. `split` has the images
    /// that are evaluated. Nothing is written if `training.tensorboard` is false.
    pub(super) fn open(
        config: &Config,
        folder: PathBuf,
        split: &Split,
        history: &[EpochRecord],
    ) -> Self {
        let mut log = Self {
            folder,
            file: None,
            split: split.clone(),
            reported: false,
        };
        if config.training.tensorboard {
            match EventFile::open(&log.folder, &hyper_parameters(config), history) {
                Ok(file) => log.file = Some(file),
                Err(error) => log.fail(&error),
            }
        }
        log
    }

    /// Writes nothing.
    pub(super) fn disabled(folder: PathBuf, split: &Split) -> Self {
        Self {
            folder,
            file: None,
            split: split.clone(),
            reported: false,
        }
    }

    /// Adds a recorded epoch, and what was seen in its evaluation.
    pub(super) fn add(&mut self, record: &EpochRecord, inspection: Option<&Inspection>) {
        if self.file.is_none() {
            return;
        }
        let worst = inspection.map_or(&[][..], |inspection| &inspection.worst);
        let sheet = self.draw(worst);
        let summary = summary(record, inspection, sheet);
        if let Some(file) = &self.file
            && let Err(error) = file.append(record.epoch, summary)
        {
            self.fail(&error);
        }
    }

    /// Draws the worst queries, if there are any.
    fn draw(&mut self, worst: &[WorstQuery]) -> Option<QuerySheet> {
        // Features have no pictures.
        if worst.is_empty() || self.split.feature_dim().is_some() {
            return None;
        }
        let (sheet, unreadable) = match QuerySheet::draw(&self.split, worst) {
            Ok((sheet, unreadable)) => (Some(sheet), unreadable),
            Err(error) => (None, vec![error.to_string()]),
        };
        if let Some(cause) = unreadable.first().filter(|_| !self.reported) {
            self.reported = true;
            tracing::warn!(
                "TensorBoard's sheet of the worst queries lacks {} image(s), which are grey: {cause}; later \
                 sheets may lack more",
                unreadable.len()
            );
        }
        sheet
    }

    /// Reports a failure, and writes nothing from now on.
    fn fail(&mut self, error: &io::Error) {
        self.file = None;
        tracing::warn!(
            "cannot write TensorBoard's events in {}: {error}; the training continues without them, and \
             `train --resume` adds the scalars of the missing epochs",
            self.folder.display()
        );
    }
}

/// An estimate of the bytes of the event file of a whole training.
pub(super) fn expected_bytes(config: &Config) -> u64 {
    if !config.training.tensorboard {
        return 0;
    }
    let epochs = config.training.epochs as u64;
    let evaluated = epochs.div_ceil(config.training.validate_every.max(1) as u64);
    let sheets = evaluated.min(ASSUMED_SHEETS);
    [
        (epochs, SCALAR_BYTES),
        (evaluated, HISTOGRAM_BYTES),
        (sheets, SHEET_BYTES),
    ]
    .into_iter()
    .map(|(count, bytes)| count.saturating_mul(bytes))
    .fold(0, u64::saturating_add)
}
