//! Which checkpoints are kept, when training stops early, and how a checkpoint is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use burn::record::{
    FileRecorder, FullPrecisionSettings, NamedMpkFileRecorder, Recorder, RecorderError,
};
use burn::tensor::backend::Backend;
use burn_train::EarlyStoppingStrategy;
use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::metric::store::EventStoreClient;
use serde::{Serialize, de::DeserializeOwned};

use super::failure::TrainingFailure;
use super::validation::Validation;

/// Burn's named MessagePack at full precision, written under a temporary name and renamed, so that
/// a checkpoint is either whole or absent.
#[derive(Debug, Clone, Default)]
pub struct CheckpointRecorder(NamedMpkFileRecorder<FullPrecisionSettings>);

impl<B: Backend> FileRecorder<B> for CheckpointRecorder {
    fn file_extension() -> &'static str {
        <NamedMpkFileRecorder<FullPrecisionSettings> as FileRecorder<B>>::file_extension()
    }
}

impl<B: Backend> Recorder<B> for CheckpointRecorder {
    type Settings = FullPrecisionSettings;
    type RecordArgs = PathBuf;
    type RecordOutput = ();
    type LoadArgs = PathBuf;

    fn save_item<I: Serialize>(&self, item: I, path: PathBuf) -> Result<(), RecorderError> {
        let extension = <Self as FileRecorder<B>>::file_extension();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The dot keeps the recorder from taking a part of the name for an extension.
        let temporary = path.with_file_name(format!(".{name}"));
        Recorder::<B>::save_item(&self.0, item, temporary.clone())?;
        fs::rename(
            temporary.with_extension(extension),
            path.with_extension(extension),
        )
        .map_err(|error| RecorderError::Unknown(error.to_string()))
    }

    fn load_item<I: DeserializeOwned>(&self, path: &mut PathBuf) -> Result<I, RecorderError> {
        Recorder::<B>::load_item(&self.0, path)
    }
}

/// Keeps the last two epochs and the one with the best Recall@1.
///
/// Two, because the parts of a checkpoint are written by threads of their own: when the process is
/// killed while the last one is being written, the one before it is whole.
pub struct CheckpointRetention {
    validation: Validation,
    failure: TrainingFailure,
    kept: BTreeSet<usize>,
}

impl CheckpointRetention {
    /// A strategy that knows the epochs `kept` so far and reads recalls from `validation`.
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
    // Burn's event store is filled by other threads and may lag behind this call, so the recall is
    // taken from where the validation itself put it.
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        let halfway = self.failure.is_cancelled() && !self.validation.is_complete(epoch);
        if halfway || self.failure.network_is_broken() {
            // A resumed run does this epoch again.
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

/// Stops when Recall@1 has not risen for a number of epochs.
#[derive(Clone)]
pub struct EarlyStopping {
    validation: Validation,
    epochs: usize,
}

impl EarlyStopping {
    /// EarlyStopping of `epochs` epochs.
    pub fn new(validation: Validation, epochs: usize) -> Self {
        Self { validation, epochs }
    }
}

impl EarlyStoppingStrategy for EarlyStopping {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        // Only a measurement can show that nothing has risen.
        let measured = self.validation.recall(epoch).is_some();
        let best = self.validation.best_epoch();
        measured && best.is_some_and(|best| epoch >= best + self.epochs)
    }
}
