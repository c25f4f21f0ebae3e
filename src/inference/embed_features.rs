//! Embedding features of another model with a head that was trained on such features.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::error::InferenceError;
use super::source::EmbeddingNetwork;
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::embedding_file::Embeddings;
use crate::progress::{Monitor, Unit};
use crate::queued_read::{QueuedRead, read_values};

/// Returns the embeddings of `features` by a head, with their labels and names. `config` is that of the head.
///
/// # Errors
/// If the network embeds images, the rows have another length than its features, an embedding is not finite, or a
/// stop was requested.
pub fn embed_features<B: Backend>(
    network: &EmbeddingNetwork<B>,
    config: &Config,
    features: Embeddings,
    compute: &ComputeContext<B>,
    monitor: Monitor<'_>,
) -> Result<Embeddings, InferenceError> {
    let expected = config.model.feature_dim;
    if !network.takes_features() || expected != Some(features.dim) {
        return Err(InferenceError::Features {
            path: features.path().into(),
            found: features.dim,
            expected: expected.filter(|_| network.takes_features()),
        });
    }
    let task = monitor.task("embedding", Some(features.labels.len()), Unit::Rows);
    task.check()?;
    let mut embedded = features;
    let (dim, rows) = (embedded.dim, std::mem::take(&mut embedded.rows));
    // The rows of a batch are read after the next batch is queued, so that the device always has work.
    let mut last: Option<QueuedRead<Vec<f32>>> = None;
    for batch in rows.chunks(dim * config.evaluation.batch_size) {
        let batch = TensorData::new(batch.to_vec(), [batch.len() / dim, dim, 1, 1]);
        let batch = Tensor::from_data(batch, &compute.device);
        let found = network.embed(batch, false, &task)?;
        embedded.dim = found.dims()[1];
        let read = last.replace(read_values(found));
        embedded
            .rows
            .extend(read.map(QueuedRead::wait).unwrap_or_default());
    }
    embedded
        .rows
        .extend(last.map(QueuedRead::wait).unwrap_or_default());
    task.finish();
    match embedded.rows.iter().all(|value| value.is_finite()) {
        true => Ok(embedded),
        false => Err(InferenceError::BrokenNetwork),
    }
}
