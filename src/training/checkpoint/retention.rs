//! Which checkpoints are kept.

use std::collections::BTreeSet;

use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::metric::store::EventStoreClient;

use crate::training::failure::TrainingFailure;
use crate::training::validation::Validation;

/// Keeps the last two epochs and the one with the best Recall@1.
///
/// Burn writes the parts of a checkpoint in separate threads. If the process is killed while they are
/// written, the checkpoint of the epoch before is complete.
pub struct CheckpointRetention {
    validation: Validation,
    failure: TrainingFailure,
    kept: BTreeSet<usize>,
}

impl CheckpointRetention {
    /// Creates a strategy that reads recalls from `validation`; `kept` are the epochs with a
    /// checkpoint.
    pub fn new(
        validation: Validation,
        failure: TrainingFailure,
        kept: impl IntoIterator<Item = usize>,
    ) -> Self {
        Self {
            validation,
            failure,
            kept: kept.into_iter().collect(),
        }
    }
}

impl CheckpointingStrategy for CheckpointRetention {
    // Other threads fill Burn's event store, which may be behind this call, so the recall is read from
    // where the validation itself stored it.
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let incomplete = self.failure.is_cancelled() && !self.validation.is_complete(epoch);
        if incomplete || self.failure.network_is_broken() {
            // A resumed run repeats this epoch.
            return Vec::new();
        }
        self.kept.insert(epoch);
        let best = self.validation.best_epoch();
        let last_two: Vec<usize> = self.kept.iter().rev().take(2).copied().collect();
        let superseded: Vec<usize> = self
            .kept
            .iter()
            .copied()
            .filter(|kept| !last_two.contains(kept) && Some(*kept) != best)
            .collect();
        self.kept.retain(|kept| !superseded.contains(kept));
        let mut actions = vec![CheckpointingAction::Save];
        actions.extend(superseded.into_iter().map(CheckpointingAction::Delete));
        actions
    }
}
