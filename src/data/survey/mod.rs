//! A look at a whole dataset: everything wrong with it at once, what it consists of, and how its
//! images look.
//!
//! A [`DatasetSurvey`] reads the dataset's lists and folders; [`DatasetSurvey::check`] then decodes every image,
//! [`DatasetSurvey::stats`] reads headers only, and [`DatasetSurvey::contact_sheet`] draws some classes.

mod check;
mod contact_sheet;
mod duplicates;
mod problem;
mod report;
mod size;
mod stats;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use check::{Agreement, CheckReport, SubsetSummary, TestSummary};
pub use contact_sheet::{ContactSheet, SheetLayout, SheetRow, check_sheet_path};
pub use problem::{Problem, Severity};
pub use stats::{Bin, Spread, Stats, SubsetStats};

use super::datasets::index::{ClassEntries, DatasetIndex, Entry, Subset};
use super::parallel::{in_parallel, worker_count};
use super::{DataError, Splits, datasets};
use crate::cancellation::CancellationToken;
use crate::data::config::DataConfig;
use crate::progress::{Progress, ProgressObserver, Unit};

/// A configured dataset whose lists and folders have been read.
#[derive(Debug)]
pub struct DatasetSurvey {
    config: DataConfig,
    contents: Contents,
}

/// Where the images are.
#[derive(Debug)]
enum Contents {
    Files(DatasetIndex),
    Memory(Splits),
}

impl DatasetSurvey {
    /// Reads the lists and folders of the configured dataset; a dataset that is held in memory is
    /// opened, which verifies its files.
    ///
    /// # Errors
    /// What keeps the dataset from being listed at all, such as a missing root or list. Every lesser
    /// mistake is left to [`check`](Self::check).
    pub fn open(config: &DataConfig) -> Result<Self, DataError> {
        let contents = match datasets::list(&config.source)? {
            Some(index) => Contents::Files(index),
            None => {
                let splits = datasets::open(config, &CancellationToken::new())?;
                splits.train.check(false)?;
                splits.test.check(false)?;
                Contents::Memory(splits)
            }
        };
        Ok(Self {
            config: config.clone(),
            contents,
        })
    }

    fn dataset(&self) -> &'static str {
        self.config.source.name()
    }

    fn root(&self) -> Option<&Path> {
        self.config.source.root()
    }

    /// `work(0), …, work(count − 1)` by the configured number of threads, reported as `task`.
    fn in_parallel<T: Send>(
        &self,
        count: usize,
        task: &str,
        progress: &dyn ProgressObserver,
        work: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        let done = AtomicUsize::new(0);
        let workers = worker_count(self.config.loading.workers);
        let outputs = in_parallel(workers, count, |index| {
            let output = work(index);
            progress.update(Progress {
                task,
                done: 1 + done.fetch_add(1, Ordering::Relaxed) as u64,
                total: Some(count as u64),
                unit: Unit::Images,
            });
            output
        });
        progress.finish(task);
        outputs
    }
}

/// An image with its place in the dataset.
#[derive(Debug, Clone, Copy)]
struct LocatedEntry<'a> {
    image: &'a Entry,
    class: &'a ClassEntries,
    subset: Subset,
}

/// Every image of a subset, class by class.
fn entries_of(index: &DatasetIndex, subset: Subset) -> impl Iterator<Item = LocatedEntry<'_>> {
    index.subset(subset).iter().flat_map(move |class| {
        class.images.iter().map(move |image| LocatedEntry {
            image,
            class,
            subset,
        })
    })
}
