//! Where loaders leave their mistakes: Burn's iterators have no way to return an error.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use super::DataError;
use crate::cancellation::CancellationToken;

/// Where a loader leaves the mistake that ended its batches early, and the images that it skipped.
/// Clones share the place.
#[derive(Clone, Default)]
pub struct LoaderErrors {
    first: Arc<Mutex<Option<DataError>>>,
    skipped: Arc<Mutex<BTreeSet<String>>>,
    cancellation: Option<CancellationToken>,
}

impl LoaderErrors {
    /// Errors that also cancel `cancellation`.
    pub fn cancelling(cancellation: CancellationToken) -> Self {
        Self {
            cancellation: Some(cancellation),
            ..Self::default()
        }
    }

    /// Takes the first failure since the last call; to be asked whenever the batches have ended.
    pub fn take(&self) -> Option<DataError> {
        self.first().take()
    }

    /// What was wrong with the images that were skipped instead, each once, in order.
    pub fn skipped(&self) -> Vec<String> {
        whole(&self.skipped).iter().cloned().collect()
    }

    pub(super) fn skip(&self, error: &DataError) {
        whole(&self.skipped).insert(error.to_string());
    }

    pub(super) fn record(&self, error: DataError) {
        if let Some(cancellation) = &self.cancellation {
            cancellation.cancel_because(&error.to_string());
        }
        self.first().get_or_insert(error);
    }

    fn first(&self) -> MutexGuard<'_, Option<DataError>> {
        whole(&self.first)
    }
}

/// What is kept here is whole at any time, also after a panic elsewhere.
fn whole<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl std::fmt::Debug for LoaderErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LoaderErrors").field(&*self.first()).finish()
    }
}
