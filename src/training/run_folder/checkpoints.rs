//! The checkpoints of a run folder.

use std::fs;
use std::path::PathBuf;

use super::error::file_error;
use super::{RunFolder, RunFolderError};
use crate::atomic_file;
use crate::training::checkpoint::{CheckpointFile, CheckpointPosition, legacy};
use crate::training::selection::best_epoch;

/// The folder of the checkpoints, in the run folder.
pub(super) const CHECKPOINTS: &str = "checkpoint";

/// A choice of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// The checkpoint with the highest Recall@1, of equal ones that with the highest MAP@R; the first of several.
    Best,
    /// The last checkpoint at the end of an epoch.
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

/// A checkpoint in a run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::training) enum StoredCheckpoint {
    /// A file of this version.
    File(CheckpointPosition),
    /// The three files of an epoch that versions 0.1 and 0.2 wrote.
    Legacy(usize),
}

impl StoredCheckpoint {
    /// Its position in the training.
    pub(in crate::training) fn position(self) -> CheckpointPosition {
        match self {
            Self::File(position) => position,
            Self::Legacy(epoch) => CheckpointPosition::end_of(epoch),
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
                    .filter_map(|record| Some((record.epoch, record.measured()?.score()))),
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

    /// The epochs that have a checkpoint at their end, increasing.
    pub fn checkpoints(&self) -> Vec<usize> {
        let stored = self.stored_checkpoints().into_iter();
        let mut epochs: Vec<usize> = stored
            .filter_map(|checkpoint| checkpoint.position().end())
            .collect();
        epochs.dedup();
        epochs
    }

    /// All checkpoints, in the order of their positions.
    pub(in crate::training) fn stored_checkpoints(&self) -> Vec<StoredCheckpoint> {
        let folder = self.checkpoint_folder();
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let files = names
            .filter_map(|name| CheckpointPosition::from_file_name(&name))
            .map(StoredCheckpoint::File);
        let legacy = legacy::epochs(&folder).into_iter();
        let mut stored: Vec<StoredCheckpoint> =
            legacy.map(StoredCheckpoint::Legacy).chain(files).collect();
        stored.sort_by_key(|checkpoint| checkpoint.position());
        stored
    }

    /// The checkpoint at the end of `epoch`: the file if there is one, else the files of an earlier
    /// version.
    pub(in crate::training) fn stored_checkpoint(&self, epoch: usize) -> Option<StoredCheckpoint> {
        let position = CheckpointPosition::end_of(epoch);
        let mut stored = self.stored_checkpoints().into_iter();
        stored.rfind(|checkpoint| checkpoint.position() == position)
    }

    /// The folder of the checkpoints.
    pub(in crate::training) fn checkpoint_folder(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// The file of a checkpoint; that of the network if there are several.
    pub(in crate::training) fn checkpoint_path(&self, checkpoint: StoredCheckpoint) -> PathBuf {
        let folder = self.checkpoint_folder();
        match checkpoint {
            StoredCheckpoint::File(position) => folder.join(position.file_name()),
            StoredCheckpoint::Legacy(epoch) => {
                let [model, ..] = legacy::files(&folder, epoch);
                model
            }
        }
    }

    /// Writes a checkpoint durably; nothing in a process other than process 0.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. Then a file of the same position is unchanged.
    pub(in crate::training) fn save(
        &self,
        checkpoint: &CheckpointFile,
    ) -> Result<(), RunFolderError> {
        if self.other_process {
            return Ok(());
        }
        self.check_lock()?;
        let folder = self.checkpoint_folder();
        match fs::create_dir(&folder) {
            Ok(()) => {
                atomic_file::sync_folder(&self.path).map_err(file_error("write", &self.path))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(file_error("write", &folder)(error)),
        }
        let path = folder.join(checkpoint.header.position().file_name());
        atomic_file::replace(&path, &checkpoint.to_bytes()).map_err(file_error("write", &path))
    }

    /// Reads a checkpoint of this version.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is damaged.
    pub(in crate::training) fn read(
        &self,
        position: CheckpointPosition,
    ) -> Result<CheckpointFile, RunFolderError> {
        let path = self.checkpoint_path(StoredCheckpoint::File(position));
        let bytes = fs::read(&path).map_err(file_error("read", &path))?;
        let damaged = |message: String| RunFolderError::Damaged {
            path: path.clone(),
            message,
        };
        let file = CheckpointFile::parse(&bytes).map_err(damaged)?;
        if file.header.position() != position {
            return Err(damaged(format!(
                "it is the checkpoint of {}",
                file.header.position()
            )));
        }
        Ok(file)
    }

    /// Deletes the checkpoints before `position` except the `latest` last ones at the end of an epoch that
    /// `is_scheduled`, and that of the epoch `best`. Other ones, of an interruption or written because time
    /// had passed, are kept if there are fewer. Checkpoints after `position` are unchanged.
    ///
    /// # Errors
    ///
    /// If a file cannot be deleted.
    pub(in crate::training) fn prune(
        &self,
        position: CheckpointPosition,
        latest: usize,
        best: Option<usize>,
        is_scheduled: impl Fn(usize) -> bool,
    ) -> Result<(), RunFolderError> {
        let mut stored = self.stored_checkpoints();
        stored.retain(|checkpoint| checkpoint.position() <= position);
        let mut ends: Vec<usize> = stored
            .iter()
            .filter_map(|checkpoint| checkpoint.position().end())
            .collect();
        ends.dedup();
        // Scheduled ones first, then the others, each from the latest on.
        ends.sort_by_key(|&epoch| std::cmp::Reverse((is_scheduled(epoch), epoch)));
        ends.truncate(latest);
        let kept = |at: CheckpointPosition| {
            let kept = |epoch| ends.contains(&epoch) || Some(epoch) == best;
            at == position || at.end().is_some_and(kept)
        };
        for checkpoint in stored {
            if kept(checkpoint.position()) {
                continue;
            }
            let files = match checkpoint {
                StoredCheckpoint::File(_) => vec![self.checkpoint_path(checkpoint)],
                StoredCheckpoint::Legacy(epoch) => {
                    legacy::files(&self.checkpoint_folder(), epoch).to_vec()
                }
            };
            for file in files {
                fs::remove_file(&file).map_err(file_error("delete", &file))?;
            }
        }
        Ok(())
    }
}
