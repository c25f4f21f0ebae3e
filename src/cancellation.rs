//! A request to stop, shared by everything that can make or receive one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn_train::Interrupter;
use thiserror::Error;

/// Work ended early because a stop was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("interrupted")]
pub struct Cancelled;

/// A request to stop, shared by its clones. A signal and the dashboard make it. Long work checks
/// [`is_cancelled`](Self::is_cancelled) several times a second.
///
/// A request cannot be withdrawn: Burn's dashboard resets its [`Interrupter`] when a training ends, and
/// the token stays cancelled.
#[derive(Clone, Default)]
pub struct CancellationToken {
    interrupter: Interrupter,
    requested: Arc<AtomicBool>,
}

impl CancellationToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests all work that has a clone to stop.
    pub fn cancel(&self) {
        self.requested.store(true, Ordering::Relaxed);
        self.interrupter.stop(None);
    }

    /// Whether a stop was requested.
    pub fn is_cancelled(&self) -> bool {
        // Burn's requests have a message, which a reset of the interrupter keeps.
        self.requested.load(Ordering::Relaxed)
            || self.interrupter.should_stop()
            || self.interrupter.get_message().is_some()
    }

    /// Returns the handle for Burn's Learner and dashboard.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_request() {
        let token = CancellationToken::new();
        let other = token.clone();
        assert!(!other.is_cancelled());
        token.cancel();
        assert!(other.is_cancelled());
    }

    #[test]
    fn request_survives_a_reset_of_the_interrupter() {
        let requests: [fn(&CancellationToken); 2] = [
            |token| token.cancel(),
            |token| token.interrupter().stop(Some("from user input")),
        ];
        for request in requests {
            let token = CancellationToken::new();
            request(&token);
            assert!(token.is_cancelled());
            token.interrupter().reset();
            assert!(token.is_cancelled());
        }
    }
}
