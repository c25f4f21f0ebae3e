//! One request to stop, whoever makes it.

use burn_train::Interrupter;

/// A request to stop, shared by its clones: Ctrl-C, the dashboard's `quit`, or a failure in another
/// thread. Long work asks [`is_cancelled`](Self::is_cancelled) several times a second.
#[derive(Clone, Default)]
pub struct CancellationToken(Interrupter);

impl CancellationToken {
    /// A token that nothing has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests all work that holds a clone to stop.
    pub fn cancel(&self) {
        self.0.stop(None);
    }

    /// Requests all work to stop; Burn's dashboard shows `reason`.
    pub fn cancel_because(&self, reason: &str) {
        self.0.stop(Some(reason));
    }

    /// Whether the work is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.should_stop()
    }

    /// The reason, where one was given first. Burn gives its own for quitting the dashboard and for
    /// a checkpoint that it could not write.
    pub fn reason(&self) -> Option<String> {
        self.0.get_message()
    }

    /// The handle for Burn's Learner and dashboard.
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
    fn the_interrupter_shares_the_request_and_its_reason() {
        let token = CancellationToken::new();
        token.interrupter().stop(Some("the disk is full"));
        assert!(token.is_cancelled());
        assert_eq!(token.reason().as_deref(), Some("the disk is full"));
    }
}
