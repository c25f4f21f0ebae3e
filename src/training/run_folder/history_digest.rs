//! A hash of the recorded epochs, which a checkpoint contains, so that it is not resumed with the metrics of
//! another run.

use sha2::{Digest, Sha256};

use super::EpochRecord;
use crate::hex::hex;

/// A hash of the epochs up to a checkpoint, without their times.
#[derive(Debug, Clone, Default)]
pub(in crate::training) struct HistoryDigest(Sha256);

impl HistoryDigest {
    /// Adds the next epoch.
    pub(in crate::training) fn add(&mut self, epoch: &EpochRecord) {
        let epoch = EpochRecord {
            seconds: 0.0,
            ..epoch.clone()
        };
        let text = serde_json::to_vec(&epoch).expect("a record is plain data");
        self.0.update(text);
    }

    /// SHA-256 in hexadecimal.
    pub(in crate::training) fn value(&self) -> String {
        hex(&self.0.clone().finalize())
    }
}

impl<'a> FromIterator<&'a EpochRecord> for HistoryDigest {
    fn from_iter<T: IntoIterator<Item = &'a EpochRecord>>(epochs: T) -> Self {
        let mut digest = Self::default();
        epochs.into_iter().for_each(|epoch| digest.add(epoch));
        digest
    }
}
