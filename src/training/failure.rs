//! Why a training stopped before its last epoch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::TrainingError;
use crate::cancellation::CancellationToken;

/// The reason that Burn's dashboard gives when the user quits.
const DASHBOARD_QUIT: &str = "from user input";

/// The first failure of a training's metrics or log, which cancels the training. Clones share it.
#[derive(Clone)]
pub struct TrainingFailure {
    cancellation: CancellationToken,
    first: Arc<Mutex<Option<TrainingError>>>,
}

impl TrainingFailure {
    /// No failure yet; the first one cancels `cancellation`.
    pub fn new(cancellation: CancellationToken) -> Self {
        Self {
            cancellation,
            first: Arc::default(),
        }
    }

    /// Records `error`, unless there is one already, and cancels the training.
    pub fn record(&self, error: TrainingError) {
        // A thread that sees the cancellation must find the failure.
        let reason = error.to_string();
        self.first().get_or_insert(error);
        self.cancellation.cancel_because(&reason);
    }

    /// Whether the training is to stop, for a failure or otherwise.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Whether the network's output is not finite, so that its state is not saved.
    pub fn network_is_broken(&self) -> bool {
        matches!(*self.first(), Some(TrainingError::NotFinite { .. }))
    }

    /// The failure, or the reason for which the training was cancelled, if it was.
    pub fn take(&self) -> Option<TrainingError> {
        if let Some(error) = self.first().take() {
            return Some(error);
        }
        if !self.cancellation.is_cancelled() {
            return None;
        }
        Some(match self.cancellation.reason() {
            Some(reason) if !reason.contains(DASHBOARD_QUIT) => TrainingError::Stopped(reason),
            _ => TrainingError::Cancelled { run: None },
        })
    }

    fn first(&self) -> MutexGuard<'_, Option<TrainingError>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> (TrainingFailure, CancellationToken) {
        let cancellation = CancellationToken::new();
        (TrainingFailure::new(cancellation.clone()), cancellation)
    }

    #[test]
    fn the_first_failure_counts_and_cancels() {
        let (failure, cancellation) = failure();
        failure.record(TrainingError::NotFinite { epoch: 1, step: 2 });
        failure.record(TrainingError::BrokenNetwork);
        assert!(cancellation.is_cancelled());
        assert!(failure.network_is_broken());
        assert!(matches!(
            failure.take(),
            Some(TrainingError::NotFinite { epoch: 1, step: 2 })
        ));
    }

    #[test]
    fn an_interrupt_or_quitting_the_dashboard_cancels_and_a_full_disk_is_a_failure() {
        let (running, _) = failure();
        assert!(running.take().is_none());
        let (interrupted, cancellation) = failure();
        cancellation.cancel();
        assert!(matches!(
            interrupted.take(),
            Some(TrainingError::Cancelled { run: None })
        ));
        let (quit, cancellation) = failure();
        let dashboard = cancellation.interrupter();
        dashboard.stop(Some("Stopping training from user input."));
        // The dashboard does so when the training ends.
        dashboard.reset();
        assert!(matches!(
            quit.take(),
            Some(TrainingError::Cancelled { run: None })
        ));
        let (full, cancellation) = failure();
        let learner = cancellation.interrupter();
        learner.stop(Some("Error when saving training state: no space left"));
        assert!(matches!(full.take(), Some(TrainingError::Stopped(_))));
    }
}
