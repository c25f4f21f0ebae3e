//! Exporting the embedder of a run.

use burn::tensor::backend::Backend;

use super::error::InferenceError;
use super::export::{EpochMetrics, ExportOutput};
use crate::backend::ComputeContext;
use crate::training::{RunFolder, load_embedder};

/// Exports the embedder of a run at the checkpoint of `epoch`.
///
/// # Errors
///
/// If the run is damaged, or the output cannot be written.
pub fn export_run<B: Backend>(
    folder: &RunFolder,
    epoch: usize,
    output: &ExportOutput,
    compute: &ComputeContext<B>,
) -> Result<(), InferenceError> {
    let config = folder.config(&[])?;
    let embedder = load_embedder(folder, &config, epoch, compute)?;
    let history = folder.history()?;
    let record = history.iter().find(|record| record.epoch == epoch);
    let recall = record.and_then(|record| record.recall.as_ref());
    let measured = EpochMetrics {
        epoch,
        recall_at_1: recall.map(|recall| recall.at_1()),
    };
    output.write(&embedder, &config, Some(measured))?;
    Ok(())
}
