//! The measures of a network on a split.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::backend::Backend;

use super::TrainingError;
use super::measured::Measured;
use super::validation::{
    EmbeddingReader, Inspection, Inspector, RetrievalProtocol, SplitEmbeddings,
};
use crate::backend::ComputeContext;
use crate::cancellation::{CancellationToken, Cancelled};
use crate::config::Config;
use crate::data::{
    DataError, EpochSchedule, LoaderError, LoaderErrors, Split, SplitError, SplitLoader, Transform,
};
use crate::distribution::ProcessGroup;
use crate::evaluation::{MeasureOptions, SplitMeasures};
use crate::model::Embedder;
use crate::progress::{Monitor, ProgressObserver, Unit};

/// The task that progress is reported for.
const TASK: &str = "embedding";

/// Measures what a run records of a network on a split. Also returns the causes of skipped images.
///
/// # Errors
///
/// If an image cannot be read (and such images are not skipped), an embedding is not finite, no image
/// is a query, or `cancellation` is requested.
pub fn evaluate<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    compute: &ComputeContext<B>,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<(Measured, Vec<String>), TrainingError> {
    let monitor = Monitor::new(cancellation, progress);
    let group = ProcessGroup::single();
    let evaluated = inspected_evaluation(embedder, config, split, None, compute, &group, monitor)?;
    Ok((evaluated.measured, evaluated.skipped))
}

/// The measures of a network on a split, and what was seen.
pub(super) struct Evaluation {
    pub(super) measured: Measured,
    /// `None` without an [`Inspector`].
    pub(super) inspection: Option<Inspection>,
    /// The causes of skipped images.
    pub(super) skipped: Vec<String>,
}

/// Measures as [`evaluate`] does, and inspects the embeddings if there is an `inspector`. The processes of `group` share
/// the images; all of them return the measures.
///
/// # Errors
///
/// As [`evaluate`].
pub(super) fn inspected_evaluation<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    inspector: Option<Inspector>,
    compute: &ComputeContext<B>,
    group: &ProcessGroup,
    monitor: Monitor<'_>,
) -> Result<Evaluation, TrainingError> {
    let (embeddings, skipped) = embed_share(embedder, config, split, compute, group, monitor)?;
    let embeddings = embeddings.gathered(group);
    let skipped = gather_skipped(group, skipped);
    let protocol = RetrievalProtocol::new(&config.evaluation, split);
    if embeddings.is_empty() {
        return Err(no_readable_query(&skipped));
    }
    let measured =
        embeddings.inspected_measures::<B>(&protocol, inspector, &compute.device, group, monitor);
    let (measured, inspection) = measured.map_err(cancelled)?;
    match measured.recall.queries {
        0 => Err(no_readable_query(&skipped)),
        _ => Ok(Evaluation {
            measured,
            inspection,
            skipped,
        }),
    }
}

/// Computes all measures of a network on a split; the K of Recall@K are those of the configuration. Also returns
/// the causes of skipped images.
///
/// # Errors
///
/// As [`evaluate`].
pub fn measure<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    options: MeasureOptions<'_>,
    compute: &ComputeContext<B>,
    monitor: Monitor<'_>,
) -> Result<(SplitMeasures, Vec<String>), TrainingError> {
    let (embeddings, skipped) = embed_split(embedder, config, split, compute, monitor)?;
    if embeddings.is_empty() {
        return Err(no_readable_query(&skipped));
    }
    let protocol = RetrievalProtocol::new(&config.evaluation, split);
    let measures = embeddings.measure::<B>(&protocol, options, &compute.device, monitor);
    let measures = measures.map_err(cancelled)?;
    match measures.retrieval.recall.queries {
        0 => Err(no_readable_query(&skipped)),
        _ => Ok((measures, skipped)),
    }
}

fn cancelled(_: Cancelled) -> TrainingError {
    TrainingError::Cancelled { run: None }
}

/// Embeds a split with its evaluation transform. Also returns the causes of skipped images. Reports its progress
/// as the task `embedding`.
///
/// # Errors
///
/// If an image cannot be read (and such images are not skipped), an embedding is not finite, or a stop was requested.
pub fn embed_split<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    compute: &ComputeContext<B>,
    monitor: Monitor<'_>,
) -> Result<(SplitEmbeddings, Vec<String>), TrainingError> {
    let group = ProcessGroup::single();
    embed_share(embedder, config, split, compute, &group, monitor)
}

/// Embeds this process's share of a split, as [`embed_split`] does.
fn embed_share<B: Backend>(
    embedder: &Embedder<B>,
    config: &Config,
    split: &Split,
    compute: &ComputeContext<B>,
    group: &ProcessGroup,
    monitor: Monitor<'_>,
) -> Result<(SplitEmbeddings, Vec<String>), TrainingError> {
    let errors = LoaderErrors::default();
    let loader = split_loader::<B>(
        config,
        split.clone(),
        EpochSchedule::Always,
        errors.clone(),
        compute,
    )?;
    let images = group.share(split.labels().len());
    let task = monitor.task(TASK, Some(images.len()), Unit::Images);
    let loader = loader.sharing(images);
    let protocol = RetrievalProtocol::new(&config.evaluation, split);
    let mut reader = EmbeddingReader::default();
    task.check().map_err(cancelled)?;
    for batch in loader.iter() {
        let added = reader.add(embedder, &protocol, batch, &task);
        added.map_err(cancelled)?;
    }
    let embeddings = reader.finish();
    task.finish();
    if let Some(error) = errors.take() {
        return Err(DataError::from(error).into());
    }
    if !embeddings.are_finite() {
        return Err(TrainingError::BrokenNetwork);
    }
    Ok((embeddings, errors.skipped()))
}

/// Returns the causes of images that any process skipped, each once.
pub(super) fn gather_skipped(group: &ProcessGroup, own: Vec<String>) -> Vec<String> {
    if group.is_single() {
        return own;
    }
    let own = serde_json::to_vec(&own).expect("texts are plain data");
    let all = group.gather(&own).into_iter();
    let all = all.flat_map(|causes| serde_json::from_slice::<Vec<String>>(&causes));
    let all: BTreeSet<String> = all.flatten().collect();
    all.into_iter().collect()
}

/// The error of a measurement without a query.
pub(crate) fn no_readable_query(skipped: &[String]) -> TrainingError {
    TrainingError::Data(match skipped.last() {
        Some(last) => DataError::Loader(LoaderError::NoReadableQuery {
            skipped: skipped.len(),
            last: last.clone(),
        }),
        None => DataError::Split(SplitError::NoQuery { split: "evaluated" }),
    })
}

/// Creates a loader of `split` with the evaluation transform.
pub(super) fn split_loader<B: Backend>(
    config: &Config,
    split: Split,
    schedule: EpochSchedule,
    errors: LoaderErrors,
    compute: &ComputeContext<B>,
) -> Result<SplitLoader<B>, TrainingError> {
    Ok(SplitLoader::new(
        Arc::new(split),
        Transform::new(&config.data.transform)?,
        config.evaluation.batch_size,
        schedule,
        &config.data.loading,
        errors,
        compute.image_upload(),
    ))
}
