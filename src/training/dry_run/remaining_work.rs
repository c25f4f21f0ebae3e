//! The work that remains of a training, for an estimate of its time.

use crate::config::{Config, Protocol};
use crate::data::{EpochSchedule, Splits};
use crate::training::checkpoint::CheckpointPosition;
use crate::training::preflight::MeasuredSteps;

/// The work that remains of a training.
#[derive(Debug, PartialEq)]
pub(super) struct RemainingWork {
    /// Epochs; 1 if none remains.
    pub(super) epochs: usize,
    pub(super) steps: usize,
    /// Images that are embedded at the end of epochs.
    pub(super) validation_images: usize,
    /// Images that are embedded before the first epoch and after the last one.
    pub(super) other_images: usize,
}

impl RemainingWork {
    /// The work after `position` of epochs of `steps` batches.
    pub(super) fn new(
        config: &Config,
        position: CheckpointPosition,
        steps: usize,
        splits: &Splits,
    ) -> Self {
        let (last, complete) = (config.training.epochs, position.complete_epochs());
        let schedule = EpochSchedule::Every {
            interval: config.training.validate_every,
            first_epoch: complete + 1,
            last_epoch: last,
        };
        let epochs = (complete + 1..=last).count();
        let validations = (complete + 1..=last).filter(|&epoch| schedule.includes(epoch));
        let choosing = splits.validation.as_ref().unwrap_or(&splits.test);
        let choosing = choosing.labels().len();
        let untrained = if position == CheckpointPosition::end_of(0) {
            choosing
        } else {
            0
        };
        let test = match config.evaluation.protocol {
            Protocol::Validated => splits.test.labels().len(),
            Protocol::Published => 0,
        };
        Self {
            epochs: epochs.max(1),
            steps: (epochs * steps).saturating_sub(position.steps()),
            validation_images: validations.count() * choosing,
            other_images: untrained + test,
        }
    }

    /// Seconds of the epochs with their evaluations, at the speed that was `measured`.
    pub(super) fn seconds_of_epochs(&self, measured: &MeasuredSteps) -> f64 {
        self.steps as f64 * measured.step_seconds
            + self.validation_images as f64 * measured.embedding_seconds
    }

    /// Seconds of all the work, the evaluations before and after the epochs included.
    pub(super) fn seconds(&self, measured: &MeasuredSteps) -> f64 {
        self.seconds_of_epochs(measured) + self.other_images as f64 * measured.embedding_seconds
    }
}
