//! Resuming a run from its last checkpoint.

use std::path::PathBuf;

use burn::module::Module;
use burn::optim::Optimizer;
use burn::record::Record;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::checkpoint::read_record;
use super::metric_learner::MetricLearner;
use super::network::embedder_config;
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{EpochRecord, RunFolder, RunFolderError};
use super::train::{open_data, report_start};
use super::training_loop::{TrainingLoop, validation_schedule};
use super::{GroupedAdam, TrainingError};
use crate::backend::ComputeContext;
use crate::config::Config;

/// Resumes a run from its last checkpoint, up to the configured epochs or those in `overrides`
/// (`training.epochs=N`). The result equals that of the uninterrupted run.
///
/// # Errors
///
/// If every checkpoint is damaged, no epochs are left, the images are not those of the run, `overrides`
/// change more than epochs and loading, or [`train()`](super::train()) would fail.
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
            message: "it does not contain epoch 0; start a new run".to_string(),
        }
        .into());
    }
    let epoch = last_complete_checkpoint::<B>(&folder, &history, context.compute)?;
    if epoch >= Some(config.training.epochs) {
        return Err(RunFolderError::Finished {
            path: folder.path().to_path_buf(),
            epochs: config.training.epochs,
        }
        .into());
    }
    let mut network = embedder_config(&config, context.compute);
    // A run that was interrupted in its first epoch begins again from the seed and the pretrained
    // weights.
    if epoch.is_none() {
        network = network.with_located_weights(context.cancellation, &*context.observer)?;
    }
    let (splits, sampler) = open_data(&config, context)?;
    folder.check_split(&splits.train, true)?;
    folder.check_split(&splits.test, false)?;

    warn_if_thread_count_changed(folder.record()?.threads, context.compute);

    if config != before {
        folder.replace_config(&config)?;
    }
    let done = epoch.unwrap_or(0);
    let schedule = validation_schedule(&config, done + 1);
    let history: Vec<EpochRecord> = history
        .into_iter()
        .filter(|record| record.epoch <= done)
        .map(|mut record| {
            // A run's last epoch is always evaluated. The uninterrupted longer run would not have
            // evaluated it.
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

/// Warns if the number of threads differs from when the run began.
fn warn_if_thread_count_changed<B: Backend>(before: Option<usize>, compute: &ComputeContext<B>) {
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

/// The last recorded epoch with a readable checkpoint; `None` if there is no checkpoint yet.
///
/// # Errors
///
/// If there are checkpoints and all are damaged.
fn last_complete_checkpoint<B: AutodiffBackend>(
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
        let read = check_readable::<B, <MetricLearner<B> as Module<B>>::Record>(
            folder.model(epoch),
            compute,
        )
        .and_then(|()| check_readable::<B, AdamRecord<B>>(folder.optimizer(epoch), compute))
        .and_then(|()| check_readable::<B, usize>(folder.schedule(epoch), compute));
        match read {
            Ok(()) => {
                if let Some(damage) = damage {
                    tracing::warn!("{damage}; the run resumes from epoch {epoch}");
                }
                return Ok(Some(epoch));
            }
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    match damage {
        None => Ok(None),
        Some(error) => {
            Err(error
                .with_advice("no other checkpoint can be read; restore one, or start a new run"))
        }
    }
}

fn check_readable<B: Backend, R: Record<B>>(
    path: PathBuf,
    compute: &ComputeContext<B>,
) -> Result<(), RunFolderError> {
    read_record::<B, R>(path, &compute.device).map(drop)
}

/// The keys that may be changed when a run is resumed.
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
    // These keys change speed, memory, or the treatment of unreadable images, but neither batches nor
    // gradients.
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
    Err(RunFolderError::KeyNotResumable {
        path: folder.path().to_path_buf(),
        key: key.trim().to_string(),
        allowed: &ALLOWED,
    }
    .into())
}
