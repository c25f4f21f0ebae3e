//! A request to stop, shared by everything that can make or receive one.

use burn_train::Interrupter;

/// A request to stop, shared by its clones. Ctrl-C, the dashboard's `quit` and failures in other
/// threads cancel it. Long work checks [`is_cancelled`](Self::is_cancelled) several times a second.
#[derive(Clone, Default)]
pub struct CancellationToken(Interrupter);

impl CancellationToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests all work that has a clone to stop.
    pub fn cancel(&self) {
        self.0.stop(None);
    }

    /// Requests all work to stop; Burn's dashboard shows `reason`.
    pub fn cancel_because(&self, reason: &str) {
        self.0.stop(Some(reason));
    }

    /// Whether a stop was requested.
    pub fn is_cancelled(&self) -> bool {
        self.0.should_stop()
    }

    /// Returns the reason of the first request; `None` if it had none. Burn sets a reason if the user
    /// quits the dashboard and if a checkpoint cannot be written.
    pub fn reason(&self) -> Option<String> {
        self.0.get_message()
    }

    /// Returns the handle for Burn's Learner and dashboard.
    pub fn interrupter(&self) -> Interrupter {
        self.0.clone()
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
}
