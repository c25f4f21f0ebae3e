//! The images that a training skipped because they could not be read.

use super::TrainingError;
use super::observer::{TrainingEvent, TrainingObserver};
use super::run_folder::RunFolder;
use crate::data::LoaderErrors;

/// Adds skipped images to the record of a run and reports them, each once.
#[derive(Debug, Default)]
pub(super) struct SkippedImages {
    /// Number of causes when they were recorded last.
    recorded: usize,
}

impl SkippedImages {
    /// Records and reports the causes in `errors` that are new.
    ///
    /// # Errors
    /// If the record of the run cannot be read or written.
    pub(super) fn record(
        &mut self,
        errors: &LoaderErrors,
        folder: &RunFolder,
        observer: &dyn TrainingObserver,
    ) -> Result<(), TrainingError> {
        let mut causes = errors.skipped();
        if causes.len() == self.recorded {
            return Ok(());
        }
        self.recorded = causes.len();
        let mut record = folder.record()?;
        causes.retain(|cause| !record.skipped.contains(cause));
        if causes.is_empty() {
            return Ok(());
        }
        observer.event(TrainingEvent::ImagesSkipped { causes: &causes });
        record.skipped.extend(causes);
        Ok(folder.write_record(&record)?)
    }
}
