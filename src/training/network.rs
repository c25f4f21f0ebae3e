//! The network of a run.

use burn::tensor::backend::{AutodiffBackend, Backend};

use super::checkpoint::{CheckpointFile, legacy};
use super::epoch_statistics::EpochStatistics;
use super::metric_learner::MetricLearner;
use super::objective::Objective;
use super::resumable_keys::{first_difference, pinned};
use super::run_folder::{
    Checkpoint, EpochRecord, HistoryDigest, RunFolder, RunFolderError, StoredCheckpoint,
};
use super::step_options::TrainStepSchedule;
use super::validation::{RetrievalProtocol, Validation};
use super::{CheckpointPosition, GroupedAdam};
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::EpochSchedule;
use crate::model::{Embedder, EmbedderConfig};

/// The network of a configuration, with the convolutions that are fast on `compute`.
pub(super) fn embedder_config<B: Backend>(
    config: &Config,
    compute: &ComputeContext<B>,
) -> EmbedderConfig {
    EmbedderConfig::from(&config.model)
        .with_algorithm(compute.conv)
        .with_seed(config.training.seed)
}

/// Loads the network of a run from the checkpoint of `epoch`.
///
/// # Errors
///
/// If there is no such checkpoint, or if it is damaged or of another run.
pub fn load_embedder<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
    compute: &ComputeContext<B>,
) -> Result<Embedder<B>, RunFolderError> {
    load_epoch(folder, config, epoch, compute)
        .map_err(|error| error.with_advice("choose another with --checkpoint"))
}

/// [`load_embedder`], with errors that name no option of a command.
pub(super) fn load_epoch<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
    compute: &ComputeContext<B>,
) -> Result<Embedder<B>, RunFolderError> {
    let stored = folder.stored_checkpoint(epoch);
    let stored = stored.ok_or_else(|| RunFolderError::NoCheckpoint {
        path: folder.path().to_path_buf(),
        asked: format!("epoch {epoch}"),
        present: folder.checkpoints(),
    })?;
    let embedder = embedder_config(config, compute).init(&compute.device);
    match stored {
        StoredCheckpoint::File(_) => {
            // `config` may have other keys of the evaluation.
            let own = folder.config(&[])?;
            read_checkpoint(folder, &own, stored).and_then(|file| {
                let mut embedder = embedder;
                load_network(folder, stored, &file, &mut embedder)?;
                Ok(embedder)
            })
        }
        StoredCheckpoint::Legacy(epoch) => legacy::load_network(
            &folder.checkpoint_folder(),
            epoch,
            learner(embedder, config),
        )
        .map_err(damaged(folder, stored)),
    }
}

/// Loads the network of a checkpoint. Returns its epoch with it. If a training in another process deletes a
/// checkpoint meanwhile, the one that is the best or the last then is loaded.
///
/// # Errors
///
/// Those of [`load_embedder`].
pub fn load_checkpoint<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    which: Checkpoint,
    compute: &ComputeContext<B>,
) -> Result<(usize, Embedder<B>), RunFolderError> {
    let mut epoch = folder.checkpoint(which)?;
    loop {
        let error = match load_embedder(folder, config, epoch, compute) {
            Ok(embedder) => return Ok((epoch, embedder)),
            Err(error) => error,
        };
        let deleted = matches!(
            error,
            RunFolderError::NoCheckpoint { .. } | RunFolderError::File { action: "read", .. }
        );
        let now = folder.checkpoint(which)?;
        if !deleted || now == epoch {
            return Err(error);
        }
        epoch = now;
    }
}

/// The state of a training at a checkpoint.
pub(super) struct RestoredState<B: AutodiffBackend> {
    pub(super) position: CheckpointPosition,
    pub(super) embedder: Embedder<B>,
    pub(super) optimizer: GroupedAdam<B>,
    /// The statistics of the steps of an incomplete epoch.
    pub(super) statistics: EpochStatistics,
    /// The hash of the metrics of the complete epochs, if the checkpoint has it.
    pub(super) history: Option<String>,
}

impl<B: AutodiffBackend> RestoredState<B> {
    /// The state before the first step of `embedder`.
    pub(super) fn untrained(embedder: Embedder<B>, config: &Config, device: &B::Device) -> Self {
        Self {
            position: CheckpointPosition::end_of(0),
            embedder,
            optimizer: GroupedAdam::new(&config.optimizer, device),
            statistics: EpochStatistics::default(),
            history: None,
        }
    }

    /// Whether the checkpoint was written after these epochs, of which there may be more.
    pub(super) fn follows(&self, history: &[EpochRecord]) -> bool {
        let complete = history.iter().take(self.position.complete_epochs() + 1);
        let digest: HistoryDigest = complete.collect();
        self.history
            .as_ref()
            .is_none_or(|own| *own == digest.value())
    }
}

/// Restores the state of a training from a checkpoint.
///
/// # Errors
///
/// If the checkpoint is damaged, or of another run.
pub(super) fn restore<B: AutodiffBackend>(
    folder: &RunFolder,
    config: &Config,
    stored: StoredCheckpoint,
    compute: &ComputeContext<B>,
) -> Result<RestoredState<B>, RunFolderError> {
    let device = &compute.device;
    let mut embedder: Embedder<B> = embedder_config(config, compute).init(device);
    let optimizer = GroupedAdam::new(&config.optimizer, device);
    let position = stored.position();
    let damage = damaged(folder, stored);
    match stored {
        StoredCheckpoint::File(_) => {
            let file = read_checkpoint(folder, config, stored)?;
            load_network(folder, stored, &file, &mut embedder)?;
            let optimizer = file.load_optimizer(&embedder, optimizer).map_err(&damage)?;
            Ok(RestoredState {
                position,
                embedder,
                optimizer,
                history: file.header.history,
                statistics: file.header.statistics.unwrap_or_default(),
            })
        }
        StoredCheckpoint::Legacy(epoch) => {
            let checkpoints = folder.checkpoint_folder();
            let embedder = legacy::load_network(&checkpoints, epoch, learner(embedder, config))
                .map_err(&damage)?;
            let optimizer =
                legacy::load_optimizer(&checkpoints, epoch, optimizer, device).map_err(&damage)?;
            Ok(RestoredState {
                position,
                embedder,
                optimizer,
                statistics: EpochStatistics::default(),
                history: None,
            })
        }
    }
}

/// Reads a checkpoint of this version, and checks that it belongs to the run.
fn read_checkpoint(
    folder: &RunFolder,
    config: &Config,
    stored: StoredCheckpoint,
) -> Result<CheckpointFile, RunFolderError> {
    let path = folder.checkpoint_path(stored);
    let file = folder.read(stored.position())?;
    let difference = first_difference(&file.header.config, &pinned(config));
    match difference {
        Ok(None) => Ok(file),
        Ok(Some((key, found, expected))) => Err(RunFolderError::Foreign {
            path,
            key,
            found: found.to_string(),
            expected: expected.to_string(),
        }),
        Err(source) => Err(RunFolderError::Config { path, source }),
    }
}

fn load_network<B: Backend>(
    folder: &RunFolder,
    stored: StoredCheckpoint,
    file: &CheckpointFile,
    embedder: &mut Embedder<B>,
) -> Result<(), RunFolderError> {
    file.load_network(embedder).map_err(damaged(folder, stored))
}

fn damaged(
    folder: &RunFolder,
    stored: StoredCheckpoint,
) -> impl Fn(String) -> RunFolderError + use<> {
    let path = folder.checkpoint_path(stored);
    move |message| RunFolderError::Damaged {
        path: path.clone(),
        message,
    }
}

/// The module that versions 0.1 and 0.2 wrote.
fn learner<B: Backend>(embedder: Embedder<B>, config: &Config) -> MetricLearner<B> {
    MetricLearner::new(
        embedder,
        Objective::new(config),
        TrainStepSchedule::new(config),
        Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []),
    )
}
