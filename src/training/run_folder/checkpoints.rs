//! The checkpoints of a run folder.

use std::fs;
use std::path::PathBuf;

use super::{RunFolder, RunFolderError};

/// The folder of the checkpoints, in the run folder.
pub(super) const CHECKPOINTS: &str = "checkpoint";

/// A choice of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// The checkpoint with the highest Recall@1; the first of several.
    Best,
    /// The last checkpoint.
    Last,
    /// The checkpoint of this epoch, counted from 1.
    Epoch(usize),
}

impl std::str::FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            "last" => Ok(Self::Last),
            _ => text
                .parse()
                .map(Self::Epoch)
                .map_err(|_| "expected best, last or the number of an epoch".to_string()),
        }
    }
}

impl RunFolder {
    /// The epoch of a checkpoint.
    ///
    /// # Errors
    ///
    /// If the checkpoint does not exist.
    pub fn checkpoint(&self, which: Checkpoint) -> Result<usize, RunFolderError> {
        let present = self.checkpoints();
        let found = match which {
            Checkpoint::Last => present.last().copied(),
            Checkpoint::Epoch(epoch) => present.contains(&epoch).then_some(epoch),
            Checkpoint::Best => best_epoch(
                self.history()?
                    .iter()
                    .filter(|record| present.contains(&record.epoch))
                    .filter_map(|record| Some((record.epoch, record.recall.as_ref()?.at_1()))),
            ),
        };
        found.ok_or_else(|| RunFolderError::NoCheckpoint {
            path: self.path.clone(),
            asked: match which {
                Checkpoint::Best => "an evaluated epoch".to_string(),
                Checkpoint::Last => "any epoch".to_string(),
                Checkpoint::Epoch(epoch) => format!("epoch {epoch}"),
            },
            present,
        })
    }

    /// The epochs with a model, an optimiser and a schedule file, increasing.
    pub fn checkpoints(&self) -> Vec<usize> {
        let names: Vec<String> = fs::read_dir(self.path.join(CHECKPOINTS))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let epoch_of = |name: &String| -> Option<usize> {
            name.strip_prefix("model-")?
                .strip_suffix(".mpk")?
                .parse()
                .ok()
        };
        let mut epochs: Vec<usize> = names
            .iter()
            .filter_map(epoch_of)
            .filter(|epoch| {
                ["optim", "scheduler"]
                    .iter()
                    .all(|part| names.contains(&format!("{part}-{epoch}.mpk")))
            })
            .collect();
        epochs.sort_unstable();
        epochs
    }

    /// The path of an epoch's model, without the extension that the recorder adds.
    pub fn model(&self, epoch: usize) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("model-{epoch}"))
    }

    /// The path of an epoch's optimiser state, without the extension.
    pub fn optimizer(&self, epoch: usize) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("optim-{epoch}"))
    }

    /// The path of an epoch's learning rate schedule, without the extension.
    pub fn schedule(&self, epoch: usize) -> PathBuf {
        self.path
            .join(CHECKPOINTS)
            .join(format!("scheduler-{epoch}"))
    }
}

/// The epoch with the highest Recall@1; the first of several.
pub(in crate::training) fn best_epoch(
    recalls: impl Iterator<Item = (usize, f64)>,
) -> Option<usize> {
    recalls
        .fold(
            None,
            |best: Option<(usize, f64)>, (epoch, recall)| match best {
                Some((_, highest)) if recall <= highest => best,
                _ => Some((epoch, recall)),
            },
        )
        .map(|(epoch, _)| epoch)
}
