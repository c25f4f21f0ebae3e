//! The errors of loaders: Burn's iterators cannot return one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::error::LoaderError;

/// Stores the error that ended a loader's batches early, and the errors of skipped images. Clones share
/// the storage.
#[derive(Clone, Default)]
pub struct LoaderErrors {
    first: Arc<Mutex<Option<LoaderError>>>,
    skipped: Arc<Mutex<BTreeSet<String>>>,
}

impl LoaderErrors {
    /// Takes the first error since the last call. Call this whenever the batches have ended.
    pub fn take(&self) -> Option<LoaderError> {
        self.first().take()
    }

    /// Returns the messages of skipped images, each once, sorted.
    pub fn skipped(&self) -> Vec<String> {
        lock(&self.skipped).iter().cloned().collect()
    }

    /// Adds the messages of images that another process skipped.
    pub fn add_skipped(&self, messages: impl IntoIterator<Item = String>) {
        lock(&self.skipped).extend(messages);
    }

    pub(super) fn skip(&self, error: &impl fmt::Display) {
        lock(&self.skipped).insert(error.to_string());
    }

    pub(super) fn record(&self, error: LoaderError) {
        self.first().get_or_insert(error);
    }

    fn first(&self) -> MutexGuard<'_, Option<LoaderError>> {
        lock(&self.first)
    }
}

/// Ignores poisoning: the stored values are consistent at any time.
fn lock<T>(stored: &Mutex<T>) -> MutexGuard<'_, T> {
    stored
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl fmt::Debug for LoaderErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoaderErrors").field(&*self.first()).finish()
    }
}
