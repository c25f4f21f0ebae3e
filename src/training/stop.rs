//! Why a training stopped before its last epoch.

use std::sync::{Arc, Mutex};

use burn_train::Interrupter;

use crate::error::Error;

/// What Burn's dashboard gives as its reason when the reader quits.
const DASHBOARD_QUIT: &str = "from user input";

/// Stops Burn's Learner and remembers the first reason given. Clones share it.
#[derive(Clone, Default)]
pub struct Stop {
    interrupter: Interrupter,
    reason: Arc<Mutex<Option<Error>>>,
}

impl Stop {
    /// A training that nothing has stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the training at its next step for `reason`, unless another came first.
    pub fn because(&self, reason: Error) {
        let message = reason.to_string();
        self.reason
            .lock()
            .expect("nobody panics with the reason in hand")
            .get_or_insert(reason);
        self.interrupter.stop(Some(&message));
    }

    /// Whether the training is to stop.
    pub fn requested(&self) -> bool {
        self.interrupter.should_stop()
    }

    /// Whether the network's output is no longer finite, so that its state is not worth keeping.
    pub fn network_is_broken(&self) -> bool {
        let reason = self.reason.lock();
        let reason = reason.expect("nobody panics with the reason in hand");
        matches!(*reason, Some(Error::NotFinite { .. }))
    }

    /// The reason, if there is one; what Burn itself stopped for (a checkpoint that could not be
    /// written) counts.
    pub fn take_reason(&self) -> Option<Error> {
        let own = self
            .reason
            .lock()
            .expect("nobody panics with the reason in hand")
            .take();
        own.or_else(|| {
            let message = self.interrupter.get_message()?;
            Some(match message.contains(DASHBOARD_QUIT) {
                true => Error::Interrupted { run: None },
                false => Error::Stopped(message),
            })
        })
    }

    /// The handle for Burn's Learner and dashboard.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_reason_counts() {
        let stop = Stop::new();
        stop.because(Error::Interrupted { run: None });
        stop.because(Error::Stopped("late".into()));
        assert!(stop.requested());
        assert!(matches!(
            stop.take_reason(),
            Some(Error::Interrupted { .. })
        ));
    }

    #[test]
    fn quitting_the_dashboard_is_an_interruption_and_a_full_disk_is_not() {
        let stop = Stop::new();
        let dashboard = stop.interrupter();
        dashboard.stop(Some("Stopping training from user input."));
        assert!(matches!(
            stop.take_reason(),
            Some(Error::Interrupted { .. })
        ));
        let stop = Stop::new();
        stop.interrupter().stop(Some("No space left on device"));
        assert!(matches!(stop.take_reason(), Some(Error::Stopped(_))));
    }
}
