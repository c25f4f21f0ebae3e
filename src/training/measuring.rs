//! Measuring a network on a split, in training and of a finished run.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::record::Recorder;
use burn::tensor::backend::Backend;

use super::run_folder::{RunFolder, RunFolderError};
use super::trainee::{Objective, Trainee};
use super::validation::{Protocol, SplitEmbeddings, Validation};
use super::{CheckpointRecorder, Regime, Stop};
use crate::backend::Place;
use crate::config::Config;
use crate::data::{DataError, LoadFailure, Schedule, Split, SplitLoader, Transform};
use crate::error::Error;
use crate::evaluation::Recall;
use crate::model::{Embedder, EmbedderConfig};

/// Recall of a network on a split, and what was wrong with the images that were skipped.
///
/// # Errors
///
/// When an image cannot be read (and such are not skipped), the network gives no finite numbers, or
/// `stop` was requested.
pub fn measure<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    device: &B::Device,
    stop: &Stop,
) -> Result<(Recall, Vec<String>), Error> {
    let failure = LoadFailure::default();
    let loader = split_loader::<B>(
        config,
        split.clone(),
        Schedule::Always,
        failure.clone(),
        device,
    )?;
    let protocol = Protocol::new(&config.evaluation, split);
    let mut embeddings = SplitEmbeddings::default();
    for batch in loader.iter() {
        embeddings.add(embedder, &protocol, batch);
        if stop.requested() {
            return Err(stop
                .take_reason()
                .unwrap_or(Error::Interrupted { run: None }));
        }
    }
    if let Some(error) = failure.take() {
        return Err(error.into());
    }
    if !embeddings.are_finite() {
        return Err(Error::BrokenNetwork);
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
pub(super) fn nothing_measured(skipped: &[String]) -> Error {
    Error::Data(match skipped.last() {
        Some(last) => DataError::NothingMeasured {
            skipped: skipped.len(),
            last: last.clone(),
        },
        None => DataError::NoQuery,
    })
}

/// The network of a run at the checkpoint of `epoch`.
///
/// # Errors
///
/// When the checkpoint is damaged or of another network.
pub fn embedder_of<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
    place: &Place<B>,
) -> Result<Embedder<B>, RunFolderError> {
    let path = folder.model(epoch);
    let validation = Validation::new(Protocol::default(), Schedule::Always, []);
    let trainee = Trainee::new(
        network(config, place).init(&place.device),
        Objective::new(config),
        Regime::new(config),
        validation,
    );
    let record = CheckpointRecorder::default()
        .load(path.clone(), &place.device)
        .map_err(|error| RunFolderError::Damaged {
            path,
            message: error.to_string(),
        })?;
    Ok(trainee.load_record(record).embedder)
}

/// A loader of `split` under the test transform.
pub(super) fn split_loader<B: Backend>(
    config: &Config,
    split: Split,
    schedule: Schedule,
    failure: LoadFailure,
    device: &B::Device,
) -> Result<SplitLoader<B>, Error> {
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

/// The network of a configuration, computed as is quick at `place`.
pub(super) fn network<B: Backend>(config: &Config, place: &Place<B>) -> EmbedderConfig {
    EmbedderConfig::from(&config.model)
        .with_path(place.path)
        .with_seed(config.training.seed)
}
