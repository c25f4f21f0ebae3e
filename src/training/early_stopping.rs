//! When training stops before its last epoch.

use burn_train::EarlyStoppingStrategy;
use burn_train::metric::store::EventStoreClient;

use super::validation::Validation;

/// Stops training if Recall@1 has not risen for a number of epochs.
#[derive(Clone)]
pub struct EarlyStopping {
    validation: Validation,
    patience: usize,
}

impl EarlyStopping {
    /// Creates a strategy that waits `patience` epochs for a higher Recall@1.
    pub fn new(validation: Validation, patience: usize) -> Self {
        Self {
            validation,
            patience,
        }
    }
}

impl EarlyStoppingStrategy for EarlyStopping {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        // Only a measured epoch can show that recall has not risen.
        let measured = self.validation.recall(epoch).is_some();
        let best = self.validation.best_epoch();
        measured && best.is_some_and(|best| epoch >= best + self.patience)
    }
}
