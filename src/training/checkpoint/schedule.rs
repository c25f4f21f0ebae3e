//! When a checkpoint is written.

use std::time::{Duration, Instant};

use crate::config::CheckpointInterval;

/// Without `training.checkpoint_every`, the longest time between two checkpoints.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);

/// When a checkpoint is written, besides at the end, on interruption and for the best epoch.
#[derive(Debug)]
pub(in crate::training) struct CheckpointSchedule {
    interval: Option<CheckpointInterval>,
    last: Instant,
}

impl CheckpointSchedule {
    /// The schedule of `training.checkpoint_every`, from now on.
    pub(in crate::training) fn new(interval: Option<CheckpointInterval>) -> Self {
        Self {
            interval,
            last: Instant::now(),
        }
    }

    /// Whether a checkpoint is due at the end of `epoch`. `measured`: whether the epoch was evaluated.
    pub(in crate::training) fn is_due_after(&self, epoch: usize, measured: bool) -> bool {
        match self.interval {
            Some(CheckpointInterval::Epochs(epochs)) => epoch.is_multiple_of(epochs),
            Some(CheckpointInterval::Minutes(_)) => self.is_due_by_time(),
            None => measured || self.is_due_by_time(),
        }
    }

    /// Whether every training saves a checkpoint at the end of `epoch`, however long it takes.
    pub(in crate::training) fn is_scheduled(
        interval: Option<CheckpointInterval>,
        epoch: usize,
        measured: bool,
    ) -> bool {
        match interval {
            Some(CheckpointInterval::Epochs(epochs)) => epoch.is_multiple_of(epochs),
            Some(CheckpointInterval::Minutes(_)) => true,
            None => measured,
        }
    }

    /// Whether a checkpoint is due within an epoch.
    pub(in crate::training) fn is_due_by_time(&self) -> bool {
        let interval = match self.interval {
            Some(CheckpointInterval::Epochs(_)) => return false,
            Some(CheckpointInterval::Minutes(minutes)) => Duration::from_secs_f64(60.0 * minutes),
            None => DEFAULT_INTERVAL,
        };
        self.last.elapsed() >= interval
    }

    /// Restarts the time: a checkpoint was written.
    pub(in crate::training) fn saved(&mut self) {
        self.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_measured_epochs_are_saved() {
        let schedule = CheckpointSchedule::new(None);
        assert!(schedule.is_due_after(3, true));
        assert!(!schedule.is_due_after(3, false));
        assert!(!schedule.is_due_by_time());
    }

    #[test]
    fn by_default_ten_minutes_are_the_longest_interval() {
        let mut schedule = CheckpointSchedule::new(None);
        let Some(before) = schedule.last.checked_sub(DEFAULT_INTERVAL) else {
            return; // The clock has just started.
        };
        schedule.last = before;
        assert!(schedule.is_due_by_time());
        assert!(schedule.is_due_after(3, false));
        schedule.saved();
        assert!(!schedule.is_due_by_time());
    }

    #[test]
    fn interval_in_epochs_ignores_measurements() {
        let schedule = CheckpointSchedule::new(Some(CheckpointInterval::Epochs(5)));
        assert!(schedule.is_due_after(10, false));
        assert!(!schedule.is_due_after(11, true));
    }

    #[test]
    fn interval_in_minutes_is_checked_within_epochs() {
        let schedule = CheckpointSchedule::new(Some(CheckpointInterval::Minutes(1e-9)));
        // 60 ns can be less than a step of the clock.
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(schedule.is_due_by_time());
        assert!(schedule.is_due_after(1, false));
    }
}
