//! Going on with a run from its last checkpoint.

use std::path::PathBuf;

use burn::module::Module;
use burn::optim::Optimizer;
use burn::record::{Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::measuring::network;
use super::notices::announce;
use super::run_folder::{EpochRecord, RunFolder, RunFolderError};
use super::session::{Context, Fit, Outcome, open_data, schedule};
use super::trainee::Trainee;
use super::{CheckpointRecorder, TwoRateAdam};
use crate::backend::Place;
use crate::config::Config;
use crate::error::Error;

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
    context: &Context<B>,
) -> Result<Outcome, Error> {
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
    let epoch = last_whole_checkpoint::<B>(&folder, &history, context.place)?;
    if epoch >= Some(config.training.epochs) {
        return Err(RunFolderError::Finished {
            path: folder.path().to_path_buf(),
            epochs: config.training.epochs,
        }
        .into());
    }
    let mut network = network(&config, context.place);
    // Interrupted in its first epoch: the network of the start is a function of the seed and of the
    // pretrained weights; later ones are in the checkpoints.
    if epoch.is_none() {
        network = network.with_located_weights(&|| context.stop.requested())?;
    }
    let (splits, sampler) = open_data(&config, context.stop)?;
    folder.check_split(&splits.train, true)?;
    folder.check_split(&splits.test, false)?;

    tell_other_threads(folder.record()?.threads, context.place);

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
    announce(&folder, &folder.record()?, &splits);
    eprintln!("resumed after epoch {done}");
    let embedder = match epoch {
        Some(_) => network.init(&context.place.device),
        None => network.init_pretrained(&context.place.device)?,
    };
    let fit = Fit {
        config: &config,
        folder,
        embedder,
        splits,
        sampler,
        resumed: epoch,
    };
    fit.run(context)
}

/// Tells of threads that are more or fewer than when the run began.
fn tell_other_threads<B: Backend>(before: Option<usize>, place: &Place<B>) {
    let now = place.in_process.then(rayon::current_num_threads);
    if let (Some(before), Some(now)) = (before, now)
        && before != now
    {
        eprintln!(
            "warning: the run began with {before} threads and goes on with {now}: sums are rounded \
             otherwise, and it will not end with the same digits; RAYON_NUM_THREADS={before} would"
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
    place: &Place<B>,
) -> Result<Option<usize>, RunFolderError> {
    type AdamRecord<B> = <TwoRateAdam<B> as Optimizer<Trainee<B>, B>>::Record;

    let mut damage = None;
    for epoch in folder.checkpoints().into_iter().rev() {
        if !history.iter().any(|record| record.epoch == epoch) {
            continue;
        }
        let read = readable::<B, <Trainee<B> as Module<B>>::Record>(folder.model(epoch), place)
            .and_then(|()| readable::<B, AdamRecord<B>>(folder.optimizer(epoch), place))
            .and_then(|()| readable::<B, usize>(folder.schedule(epoch), place));
        match read {
            Ok(()) => return Ok(Some(epoch)),
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    damage.map_or(Ok(None), Err)
}

fn readable<B: Backend, R: Record<B>>(
    path: PathBuf,
    place: &Place<B>,
) -> Result<(), RunFolderError> {
    let read: Result<R, _> = CheckpointRecorder::default().load(path.clone(), &place.device);
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
) -> Result<(), Error> {
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
