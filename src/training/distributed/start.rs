//! What processes receive from process 0 before they train.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::tensor::backend::{AutodiffBackend, Backend};
use tempfile::TempDir;

use crate::backend::ComputeContext;
use crate::config::Config;
use crate::distribution::ProcessGroup;
use crate::model::Embedder;
use crate::temporary_files::{self, Registered};
use crate::training::checkpoint::{CheckpointFile, CheckpointHeader};
use crate::training::network::{RestoredState, embedder_config};
use crate::training::resumable_keys::pinned;
use crate::training::run_folder::{RunFolder, RunFolderError};
use crate::training::{CheckpointPosition, TrainingError};

/// A run folder of a process other than process 0, which nobody reads: only process 0 writes the run. It has no
/// checkpoints, and is removed when it is dropped. Those of processes that were killed are removed by the next one on
/// the machine.
#[derive(Debug)]
pub(in crate::training) struct PrivateFolder {
    folder: TempDir,
    /// Locked as long as the process lives.
    _lock: File,
    _registered: Registered,
}

/// The start of the name of a private folder.
const PREFIX: &str = "loop-dml-process-";
/// The file in it that is locked.
const LOCK: &str = "in-use";

impl PrivateFolder {
    /// Creates an empty folder in the system's folder for temporary files.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(in crate::training) fn create() -> Result<Self, TrainingError> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let created = || {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(&parent)?;
            let registered = temporary_files::register(folder.path());
            let lock = File::create(folder.path().join(LOCK))?;
            // A file system without locks leaves nothing to remove, either.
            let _ = lock.try_lock();
            Ok(Self {
                folder,
                _lock: lock,
                _registered: registered,
            })
        };
        let created: std::io::Result<Self> = created();
        Ok(created.map_err(|source| RunFolderError::File {
            action: "write",
            path: parent.clone(),
            source,
        })?)
    }

    /// The path of the run in it.
    pub(in crate::training) fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }
}

/// Removes the private folders of processes that were killed: those whose lock is free. A folder without the file of
/// the lock is just being created.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let lock = File::options().write(true).open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Sends the files of a run that is resumed, without its checkpoints, from process 0 to the others, which
/// [receive](receive_files) them.
///
/// # Errors
/// If a file cannot be read.
pub(in crate::training) fn send_files(
    group: &ProcessGroup,
    folder: &RunFolder,
) -> Result<(), TrainingError> {
    if !group.is_single() {
        let files = folder.small_files()?;
        group.broadcast(serde_json::to_vec(&files).expect("texts are plain data"));
    }
    Ok(())
}

/// Receives the files of a run that is resumed into `private`.
///
/// # Errors
/// If a file cannot be written.
pub(in crate::training) fn receive_files(
    group: &ProcessGroup,
    private: &PrivateFolder,
) -> Result<RunFolder, TrainingError> {
    let received = group.broadcast(Vec::new());
    let files: BTreeMap<String, String> =
        serde_json::from_slice(&received).expect("process 0 sends files");
    let run = private.run();
    let write = || {
        fs::create_dir_all(&run)?;
        let mut files = files.iter();
        files.try_for_each(|(name, text)| fs::write(run.join(name), text))
    };
    write().map_err(|source| RunFolderError::File {
        action: "write",
        path: run.clone(),
        source,
    })?;
    Ok(RunFolder::open(&run)?.of_other_process())
}

/// Sends the state that a training starts from, from process 0 to the others, whose `own` state is untrained.
///
/// # Errors
/// If the state of process 0 is not one of this network.
pub(in crate::training) fn share_state<B: AutodiffBackend>(
    group: &ProcessGroup,
    config: &Config,
    mut own: RestoredState<B>,
) -> Result<RestoredState<B>, TrainingError> {
    if group.is_single() {
        return Ok(own);
    }
    let mut sent = Vec::new();
    if group.is_main() {
        let mut header = CheckpointHeader::new(own.position, pinned(config));
        header.statistics = Some(own.statistics.clone());
        header.history = own.history.clone();
        sent = CheckpointFile::from_state(header, &own.embedder, &own.optimizer).to_bytes();
    }
    let received = group.broadcast(sent);
    if group.is_main() {
        return Ok(own);
    }
    let received = CheckpointFile::parse(&received).and_then(|file| {
        file.load_network(&mut own.embedder)?;
        let optimizer = file.load_optimizer(&own.embedder, own.optimizer)?;
        Ok((file.header, optimizer))
    });
    let (header, optimizer) = received.map_err(|message| other_network(group, &message))?;
    Ok(RestoredState {
        position: header.position(),
        embedder: own.embedder,
        optimizer,
        statistics: header.statistics.unwrap_or_default(),
        history: header.history,
    })
}

/// Sends the network of the best epoch from process 0, which has `loaded` it, to the others.
///
/// # Errors
/// If the network of process 0 is not this one.
pub(in crate::training) fn share_best<B: Backend>(
    group: &ProcessGroup,
    config: &Config,
    loaded: Option<(usize, Embedder<B>)>,
    compute: &ComputeContext<B>,
) -> Result<(usize, Embedder<B>), TrainingError> {
    if group.is_single() {
        return Ok(loaded.expect("the only process has loaded it"));
    }
    let sent = loaded.as_ref().map_or_else(Vec::new, |(epoch, embedder)| {
        let header = CheckpointHeader::new(CheckpointPosition::end_of(*epoch), pinned(config));
        CheckpointFile::from_network(header, embedder).to_bytes()
    });
    let received = group.broadcast(sent);
    if let Some(loaded) = loaded {
        return Ok(loaded);
    }
    let mut embedder: Embedder<B> = embedder_config(config, compute).init(&compute.device);
    let file = CheckpointFile::parse(&received).and_then(|file| {
        file.load_network(&mut embedder)?;
        Ok(file)
    });
    let file = file.map_err(|message| other_network(group, &message))?;
    Ok((file.header.position().complete_epochs(), embedder))
}

fn other_network(group: &ProcessGroup, message: &str) -> TrainingError {
    TrainingError::Processes {
        process: group.name(group.rank()),
        message: format!("the network of process 0 does not fit: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_processes_are_removed_and_those_in_use_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir_all(path.join("run")).unwrap();
            path
        };
        let (used, abandoned) = (folder("loop-dml-process-1"), folder("loop-dml-process-2"));
        let (created, other) = (folder("loop-dml-process-3"), folder("other"));
        let lock = File::create(used.join(LOCK)).unwrap();
        lock.try_lock().unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        File::create(other.join(LOCK)).unwrap();
        remove_abandoned(parent.path());
        let exist = [used, abandoned, created, other].map(|path| path.exists());
        assert_eq!(exist, [true, false, true, true]);
    }
}
