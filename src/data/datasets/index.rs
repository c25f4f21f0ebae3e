//! The index of a dataset: what its lists and folders name, before any image is opened.
//!
//! A reader processes its lists completely and stores errors in [`DatasetIndex::errors`], so that `data
//! check` can report all of them. Opening the dataset for training reports the first.

use std::path::PathBuf;

use super::error::DatasetError;
use super::published::Published;
use crate::data::list_line::ListLine;
use crate::evaluation::Role;

/// The training or the test part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subset {
    /// The training images.
    Train,
    /// The test images, of classes unseen in training.
    Test,
}

impl Subset {
    /// Returns `train` or `test`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// An image of the index.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path below the dataset's root, as listed.
    pub(crate) name: String,
    /// Its file.
    pub(crate) path: PathBuf,
    /// The line that lists it. `None` for a dataset without lists.
    pub(crate) line: Option<ListLine>,
    /// Its role in the evaluation. Unused for training images.
    pub(crate) role: Role,
}

impl Entry {
    /// Returns the error with the line that lists the image, if there is one.
    pub(crate) fn locate(&self, error: impl Into<DatasetError>) -> DatasetError {
        match &self.line {
            Some(line) => error.into().with_line(line),
            None => error.into(),
        }
    }
}

/// A class with its images, in the order of the list.
#[derive(Debug, Clone)]
pub(crate) struct ClassEntries {
    /// Its name.
    pub(crate) name: String,
    /// Its images, at least one.
    pub(crate) images: Vec<Entry>,
}

/// The classes and images of a dataset.
#[derive(Debug)]
pub(crate) struct DatasetIndex {
    /// Training classes, in the order of their labels.
    pub(crate) train: Vec<ClassEntries>,
    /// Test classes, in the order of their labels.
    pub(crate) test: Vec<ClassEntries>,
    /// Errors in the lists and folders, in the order in which they were found.
    pub(crate) errors: Vec<DatasetError>,
    /// Listed images that do not exist, also in `errors`.
    pub(crate) missing: Vec<(Subset, DatasetError)>,
    /// The published split of the dataset, if there is one.
    pub(crate) published: Option<Published>,
}

impl DatasetIndex {
    /// Returns the classes of a subset.
    pub(crate) fn classes(&self, subset: Subset) -> &[ClassEntries] {
        match subset {
            Subset::Train => &self.train,
            Subset::Test => &self.test,
        }
    }

    /// Returns the classes of a subset.
    pub(super) fn classes_mut(&mut self, subset: Subset) -> &mut Vec<ClassEntries> {
        match subset {
            Subset::Train => &mut self.train,
            Subset::Test => &mut self.test,
        }
    }
}
