//! A dataset whose lists and folders have been read.

use std::path::Path;

use crate::cancellation::Cancelled;
use crate::data::config::{DataConfig, SingleImageClasses};
use crate::data::datasets::{
    self, ClassEntries, DatasetError, DatasetIndex, Entry, Subset, single_image_classes,
};
use crate::data::parallel::{in_parallel, in_parallel_until, worker_count};
use crate::data::split::{HoldOut, Splits};
use crate::progress::{Monitor, Unit};

/// A configured dataset whose lists and folders have been read.
#[derive(Debug)]
pub struct DatasetSurvey {
    pub(super) config: DataConfig,
    pub(super) contents: Contents,
    /// How classes are held out for validation, if a configuration says so.
    pub(super) hold_out: Option<HoldOut>,
}

/// The images of a dataset: files or memory.
#[derive(Debug)]
pub(super) enum Contents {
    Files(Box<DatasetIndex>),
    Memory(Box<Splits>),
}

impl DatasetSurvey {
    /// Reads the lists and folders of the configured dataset. A dataset in memory is opened, which
    /// verifies its files.
    ///
    /// # Errors
    /// If the dataset cannot be listed at all, for example because the root or a list is missing, or the
    /// work is cancelled. Other errors are reported by [`check`](Self::check).
    pub fn open(config: &DataConfig, monitor: Monitor<'_>) -> Result<Self, DatasetError> {
        let contents = match datasets::index(config, monitor)? {
            Some(index) => Contents::Files(Box::new(index)),
            None => Contents::Memory(Box::new(datasets::open(config, true, monitor)?)),
        };
        Ok(Self {
            config: config.clone(),
            contents,
            hold_out: None,
        })
    }

    /// Checks also that classes can be held out for validation.
    pub fn with_hold_out(mut self, hold_out: Option<HoldOut>) -> Self {
        self.hold_out = hold_out;
        self
    }

    /// Refuses a dataset whose images cannot be divided into splits.
    ///
    /// # Errors
    /// Why they cannot be divided.
    pub fn check_splits(&self) -> Result<(), DatasetError> {
        match self.undivided() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Returns the errors of single files, folders and rows that were found while the dataset was listed. Their images
    /// are left out.
    pub fn errors(&self) -> &[DatasetError] {
        match &self.contents {
            Contents::Files(index) => &index.errors,
            Contents::Memory(_) => &[],
        }
    }

    /// Returns why the images cannot be divided into splits. All are then in the training split.
    pub(super) fn undivided(&self) -> Option<&DatasetError> {
        self.errors().iter().find(|error| error.prevents_splits())
    }

    /// Returns the number of images of each training class, without classes that are left out because
    /// they have one image.
    pub(super) fn training_class_sizes(&self) -> Vec<usize> {
        let index = match &self.contents {
            Contents::Memory(splits) => return splits.train.class_sizes(),
            Contents::Files(index) => index,
        };
        use SingleImageClasses::{Drop, Gallery};
        let fewest = match single_image_classes(&self.config.source) {
            Drop | Gallery => 2,
            _ => 1,
        };
        let sizes = index.train.iter().map(|class| class.images.len());
        sizes.filter(|&size| size >= fewest).collect()
    }

    pub(super) fn dataset(&self) -> &'static str {
        self.config.source.name()
    }

    pub(super) fn root(&self) -> Option<&Path> {
        self.config.source.root()
    }

    /// Returns `work(0), …, work(count − 1)`, computed by the configured number of threads. Reports
    /// progress as `task`.
    ///
    /// # Errors
    /// If a stop was requested.
    pub(super) fn in_parallel<T: Send>(
        &self,
        count: usize,
        task: &str,
        monitor: Monitor<'_>,
        work: impl Fn(usize) -> T + Sync,
    ) -> Result<Vec<T>, Cancelled> {
        let task = monitor.task(task, Some(count), Unit::Images);
        let workers = worker_count(self.config.loading.workers);
        let outputs = in_parallel_until(&task, workers, count, work)?;
        task.finish();
        Ok(outputs)
    }

    /// As [`in_parallel`](Self::in_parallel), but returns `None` for the items that were not computed because
    /// a stop was requested.
    pub(super) fn in_parallel_so_far<T: Send>(
        &self,
        count: usize,
        task: &str,
        monitor: Monitor<'_>,
        work: impl Fn(usize) -> T + Sync,
    ) -> Vec<Option<T>> {
        let task = monitor.task(task, Some(count), Unit::Images);
        let workers = worker_count(self.config.loading.workers);
        let outputs = in_parallel(workers, count, |item| {
            task.check().ok()?;
            let output = work(item);
            // What was computed when the stop was requested counts.
            let _ = task.advance(1);
            Some(output)
        });
        if outputs.iter().all(Option::is_some) {
            task.finish();
        }
        outputs
    }
}

/// An image with its class and subset.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocatedEntry<'a> {
    pub(super) image: &'a Entry,
    pub(super) class: &'a ClassEntries,
    pub(super) subset: Subset,
}

/// Returns every image of the dataset, subset by subset.
pub(super) fn all_entries(index: &DatasetIndex) -> impl Iterator<Item = LocatedEntry<'_>> {
    let subsets = Subset::ALL.into_iter();
    subsets.flat_map(|subset| subset_entries(index, subset))
}

/// Returns every image of a subset, class by class.
pub(super) fn subset_entries(
    index: &DatasetIndex,
    subset: Subset,
) -> impl Iterator<Item = LocatedEntry<'_>> {
    index.classes(subset).iter().flat_map(move |class| {
        class.images.iter().map(move |image| LocatedEntry {
            image,
            class,
            subset,
        })
    })
}
