//! A run's embedder as a file of its own.

use burn::tensor::backend::Backend;

use super::embedder_of;
use super::run_folder::RunFolder;
use crate::backend::Place;
use crate::error::Error;
use crate::model::export::{ExportOutput, Measured};

/// Exports the embedder of a run at the checkpoint of `epoch`.
///
/// # Errors
///
/// When the run is damaged, or the output cannot be written.
pub fn export<B: Backend>(
    folder: &RunFolder,
    epoch: usize,
    output: &ExportOutput,
    place: &Place<B>,
) -> Result<(), Error> {
    let config = folder.config(&[])?;
    let embedder = embedder_of(folder, &config, epoch, place)?;
    let history = folder.history()?;
    let record = history.iter().find(|record| record.epoch == epoch);
    let recall = record.and_then(|record| record.recall.as_ref());
    let measured = Measured {
        epoch,
        recall_at_1: recall.map(|recall| recall.at_1()),
    };
    output.write(&embedder, &config, Some(measured))?;
    Ok(())
}
