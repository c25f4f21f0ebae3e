//! Exporting the embedder of a run.

use burn::tensor::backend::Backend;

use super::error::InferenceError;
use super::export::{EpochMetrics, ExportOutput};
use crate::backend::ComputeContext;
use crate::config::{Config, Protocol};
use crate::evaluation::Recall;
use crate::training::{RunFolder, RunFolderError, load_embedder};

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
    let measured = EpochMetrics {
        epoch,
        recall_at_1: test_recall(folder, &config, epoch)?.map(|recall| recall.at_1()),
    };
    output.write(&embedder, &config, Some(measured))?;
    Ok(())
}

/// The recall of `epoch` on the test split, if it was measured. With the validated protocol only that of the
/// best epoch is, at the end of the run.
fn test_recall(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
) -> Result<Option<Recall>, RunFolderError> {
    Ok(match config.evaluation.protocol {
        Protocol::Published => {
            let mut history = folder.history()?.into_iter();
            let record = history.find(|record| record.epoch == epoch);
            record.and_then(|record| record.recall)
        }
        Protocol::Validated => {
            let result = folder.result()?;
            let result = result.filter(|result| result.best_epoch == epoch);
            result.map(|result| result.test)
        }
    })
}
