//! A request to stop, shared by everything that can make or receive one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn_train::Interrupter;
use thiserror::Error;

/// Work ended early because a stop was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("interrupted")]
pub struct Cancelled;

/// A request to stop, shared by its clones. Ctrl-C, the dashboard's `quit` and failures in other
/// threads cancel it. Long work checks [`is_cancelled`](Self::is_cancelled) several times a second.
///
/// A request cannot be withdrawn: Burn's dashboard resets its [`Interrupter`] when a training ends, and
/// the token stays cancelled.
#[derive(Clone, Default)]
pub struct CancellationToken {
    interrupter: Interrupter,
    first: Arc<Mutex<Option<Request>>>,
}

/// The first request.
#[derive(Clone)]
struct Request {
    reason: Option<String>,
}

impl CancellationToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests all work that has a clone to stop.
    pub fn cancel(&self) {
        self.request(None);
    }

    /// Requests all work to stop; Burn's dashboard shows `reason`.
    pub fn cancel_because(&self, reason: &str) {
        self.request(Some(reason));
    }

    /// Whether a stop was requested.
    pub fn is_cancelled(&self) -> bool {
        // A reset of the interrupter keeps the message.
        self.interrupter.should_stop()
            || self.first().is_some()
            || self.interrupter.get_message().is_some()
    }

    /// Returns the reason of the first request; `None` if it had none. Burn sets a reason if the user
    /// quits the dashboard and if a checkpoint cannot be written.
    pub fn reason(&self) -> Option<String> {
        match &*self.first() {
            Some(request) => request.reason.clone(),
            None => self.interrupter.get_message(),
        }
    }

    /// Returns the handle for Burn's Learner and dashboard.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    fn request(&self, reason: Option<&str>) {
        self.first().get_or_insert_with(|| Request {
            // Burn may have made an earlier request.
            reason: self.interrupter.get_message().or(reason.map(String::from)),
        });
        self.interrupter.stop(reason);
    }

    fn first(&self) -> MutexGuard<'_, Option<Request>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn interrupter_shares_the_request_and_its_reason() {
        let token = CancellationToken::new();
        token.interrupter().stop(Some("the disk is full"));
        assert!(token.is_cancelled());
        assert_eq!(token.reason().as_deref(), Some("the disk is full"));
    }

    #[test]
    fn request_survives_a_reset_of_the_interrupter() {
        let requests: [fn(&CancellationToken); 3] = [
            |token| token.cancel(),
            |token| token.cancel_because("not finite"),
            |token| token.interrupter().stop(Some("the disk is full")),
        ];
        for request in requests {
            let token = CancellationToken::new();
            request(&token);
            let reason = token.reason();
            token.interrupter().reset();
            assert!(token.is_cancelled());
            assert_eq!(token.reason(), reason);
        }
    }

    #[test]
    fn first_reason_counts() {
        let token = CancellationToken::new();
        token.cancel();
        token.interrupter().stop(Some("the disk is full"));
        assert_eq!(token.reason(), None);
        let token = CancellationToken::new();
        token.interrupter().stop(Some("the disk is full"));
        token.cancel();
        assert_eq!(token.reason().as_deref(), Some("the disk is full"));
    }
}
