//! Measuring a network on a split, in training and of a finished run.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::record::Recorder;
use burn::tensor::backend::Backend;

use super::metric_learner::{MetricLearner, Objective};
use super::run_folder::{RunFolder, RunFolderError};
use super::validation::{Protocol, SplitEmbeddings, Validation};
use super::{CheckpointRecorder, TrainStepSchedule, TrainingError};
use crate::backend::ComputeContext;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::data::{
    DataError, EpochSchedule, LoaderError, LoaderErrors, Split, SplitError, SplitLoader, Transform,
};
use crate::evaluation::Recall;
use crate::model::{Embedder, EmbedderConfig};
use crate::progress::{Progress, ProgressObserver, Unit};

/// Recall of a network on a split, and what was wrong with the images that were skipped.
///
/// # Errors
///
/// When an image cannot be read (and such are not skipped), the network gives no finite numbers, or
/// `cancellation` was requested.
pub fn measure<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    device: &B::Device,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<(Recall, Vec<String>), TrainingError> {
    let failure = LoaderErrors::default();
    let loader = split_loader::<B>(
        config,
        split.clone(),
        EpochSchedule::Always,
        failure.clone(),
        device,
    )?;
    let protocol = Protocol::new(&config.evaluation, split);
    let mut embeddings = SplitEmbeddings::default();
    let total = split.labels().len() as u64;
    let mut done = 0;
    for batch in loader.iter() {
        let count = batch.indices.len();
        embeddings.add(embedder, &protocol, batch);
        if cancellation.is_cancelled() {
            return Err(TrainingError::Cancelled { run: None });
        }
        done += count as u64;
        progress.update(Progress {
            task: "embedding",
            done,
            total: Some(total),
            unit: Unit::Images,
        });
    }
    progress.finish("embedding");
    if let Some(error) = failure.take() {
        return Err(DataError::from(error).into());
    }
    if !embeddings.are_finite() {
        return Err(TrainingError::BrokenNetwork);
    }
    let recall = match embeddings.is_empty() {
        true => Recall::from_ranks(&[], &protocol.recall),
        false => embeddings.recall::<B>(&protocol, device),
    };
    let skipped = failure.skipped();
    match recall.queries {
        0 => Err(nothing_measured(&skipped)),
        _ => Ok((recall, skipped)),
    }
}

/// The error of a measure without a query.
pub(super) fn nothing_measured(skipped: &[String]) -> TrainingError {
    TrainingError::Data(match skipped.last() {
        Some(last) => DataError::Loader(LoaderError::NothingMeasured {
            skipped: skipped.len(),
            last: last.clone(),
        }),
        None => DataError::Split(SplitError::NoQuery),
    })
}

/// The network of a run at the checkpoint of `epoch`.
///
/// # Errors
///
/// When the checkpoint is damaged or of another network.
pub fn load_embedder<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
    compute: &ComputeContext<B>,
) -> Result<Embedder<B>, RunFolderError> {
    let path = folder.model(epoch);
    let validation = Validation::new(Protocol::default(), EpochSchedule::Always, []);
    let learner = MetricLearner::new(
        network(config, compute).init(&compute.device),
        Objective::new(config),
        TrainStepSchedule::new(config),
        validation,
    );
    let record = CheckpointRecorder::default()
        .load(path.clone(), &compute.device)
        .map_err(|error| RunFolderError::Damaged {
            path,
            message: error.to_string(),
        })?;
    Ok(learner.load_record(record).embedder)
}

/// A loader of `split` under the test transform.
pub(super) fn split_loader<B: Backend>(
    config: &Config,
    split: Split,
    schedule: EpochSchedule,
    failure: LoaderErrors,
    device: &B::Device,
) -> Result<SplitLoader<B>, TrainingError> {
    Ok(SplitLoader::new(
        Arc::new(split),
        Transform::new(&config.data.transform)?,
        config.evaluation.batch_size,
        schedule,
        &config.data.loading,
        failure,
        device,
    ))
}

/// The network of a configuration, computed as is quick at `compute`.
pub(super) fn network<B: Backend>(config: &Config, compute: &ComputeContext<B>) -> EmbedderConfig {
    EmbedderConfig::from(&config.model)
        .with_algorithm(compute.conv)
        .with_seed(config.training.seed)
}
