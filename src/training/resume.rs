//! Going on with a run from its last checkpoint.

use std::path::PathBuf;

use burn::module::Module;
use burn::optim::Optimizer;
use burn::record::{Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::measure::network;
use super::metric_learner::MetricLearner;
use super::run_folder::{EpochRecord, RunFolder, RunFolderError};
use super::training_loop::{
    RunContext, TrainingLoop, TrainingSummary, open_data, report_start, schedule,
};
use super::{CheckpointRecorder, GroupedAdam, TrainingError};
use crate::backend::ComputeContext;
use crate::config::Config;

/// Goes on with a run from its last checkpoint, to the configured epochs or those given in
/// `overrides` (`training.epochs=N`). It ends where the unbroken run would have ended.
///
/// # Errors
///
/// When the folder holds no run, none but damaged checkpoints, or no epochs left to train, when the
/// images are others, when `overrides` change more than the epochs and the loading, or as [`train`](super::train).
pub fn resume<B: AutodiffBackend>(
    folder: RunFolder,
    overrides: &[String],
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let before = folder.config(&[])?;
    let config = folder.config(overrides)?;
    config.check()?;
    refuse_changes(&folder, &before, &config, overrides)?;

    let history = folder.history()?;
    if !history
        .iter()
        .any(|record| record.epoch == 0 && record.recall.is_some())
    {
        return Err(RunFolderError::Damaged {
            path: folder.path().join("metrics.jsonl"),
            message: "it lacks the untrained network's measurement; start a new run".to_string(),
        }
        .into());
    }
    let epoch = last_whole_checkpoint::<B>(&folder, &history, context.compute)?;
    if epoch >= Some(config.training.epochs) {
        return Err(RunFolderError::Finished {
            path: folder.path().to_path_buf(),
            epochs: config.training.epochs,
        }
        .into());
    }
    let mut network = network(&config, context.compute);
    // Interrupted in its first epoch: the network of the start is a function of the seed and of the
    // pretrained weights; later ones are in the checkpoints.
    if epoch.is_none() {
        network = network.with_located_weights(context.cancellation, &*context.observer)?;
    }
    let (splits, sampler) = open_data(&config, context)?;
    folder.check_split(&splits.train, true)?;
    folder.check_split(&splits.test, false)?;

    warn_of_other_threads(folder.record()?.threads, context.compute);

    if config != before {
        folder.replace_config(&config)?;
    }
    let done = epoch.unwrap_or(0);
    let schedule = schedule(&config, done + 1);
    let history: Vec<EpochRecord> = history
        .into_iter()
        .filter(|record| record.epoch <= done)
        .map(|mut record| {
            // The last epoch of a shorter run was measured; in the longer one it would not be.
            if record.epoch > 0 && !schedule.includes(record.epoch) {
                record.recall = None;
            }
            record
        })
        .collect();
    folder.replace_history(&history)?;
    report_start(&folder, &folder.record()?, &splits, Some(done), context);
    let embedder = match epoch {
        Some(_) => network.init(&context.compute.device),
        None => network.init_pretrained(&context.compute.device)?,
    };
    let training_loop = TrainingLoop {
        config: &config,
        folder,
        embedder,
        splits,
        sampler,
        resumed: epoch,
    };
    training_loop.run(context)
}

/// Warns where the number of threads is not the run's.
fn warn_of_other_threads<B: Backend>(before: Option<usize>, compute: &ComputeContext<B>) {
    let now = compute.in_process.then(rayon::current_num_threads);
    if let (Some(before), Some(now)) = (before, now)
        && before != now
    {
        tracing::warn!(
            "thread count changed ({before} → {now}): results will not be bit-identical; set \
             RAYON_NUM_THREADS={before} to keep them"
        );
    }
}

/// The last epoch that was recorded and whose checkpoint can be read; none before the first.
///
/// # Errors
///
/// When there are checkpoints and all are damaged.
fn last_whole_checkpoint<B: AutodiffBackend>(
    folder: &RunFolder,
    history: &[EpochRecord],
    compute: &ComputeContext<B>,
) -> Result<Option<usize>, RunFolderError> {
    type AdamRecord<B> = <GroupedAdam<B> as Optimizer<MetricLearner<B>, B>>::Record;

    let mut damage = None;
    for epoch in folder.checkpoints().into_iter().rev() {
        if !history.iter().any(|record| record.epoch == epoch) {
            continue;
        }
        let read =
            readable::<B, <MetricLearner<B> as Module<B>>::Record>(folder.model(epoch), compute)
                .and_then(|()| readable::<B, AdamRecord<B>>(folder.optimizer(epoch), compute))
                .and_then(|()| readable::<B, usize>(folder.schedule(epoch), compute));
        match read {
            Ok(()) => return Ok(Some(epoch)),
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    damage.map_or(Ok(None), Err)
}

fn readable<B: Backend, R: Record<B>>(
    path: PathBuf,
    compute: &ComputeContext<B>,
) -> Result<(), RunFolderError> {
    let read: Result<R, _> = CheckpointRecorder::default().load(path.clone(), &compute.device);
    read.map(drop).map_err(|error| RunFolderError::Damaged {
        path,
        message: error.to_string(),
    })
}

/// What may be changed when a run goes on.
const ALLOWED: [&str; 7] = [
    "training.epochs",
    "training.gradient_checkpointing",
    "data.workers",
    "data.prefetch",
    "data.cache",
    "data.cache_dir",
    "data.broken_images",
];

fn refuse_changes(
    folder: &RunFolder,
    before: &Config,
    after: &Config,
    overrides: &[String],
) -> Result<(), TrainingError> {
    let mut allowed = before.clone();
    allowed.training.epochs = after.training.epochs;
    // They change speed and memory, never the batches and the gradients; or say what becomes of an image that ended the run.
    allowed.data.loading = after.data.loading.clone();
    allowed.training.gradient_checkpointing = after.training.gradient_checkpointing;
    if allowed == *after {
        return Ok(());
    }
    let key = overrides
        .iter()
        .filter_map(|text| text.split('=').next())
        .find(|key| !ALLOWED.contains(&key.trim()))
        .unwrap_or("the configuration");
    Err(RunFolderError::ResumedWithChange {
        path: folder.path().to_path_buf(),
        key: key.trim().to_string(),
        allowed: &ALLOWED,
    }
    .into())
}
