//! What the lists and folders of a dataset say, before any image is opened.
//!
//! A reader goes through its lists to the end and leaves what is wrong in [`DatasetIndex::faults`], so that
//! `data check` can name everything at once; opening the dataset for training refuses the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::published::Published;
use crate::data::DataError;
use crate::evaluation::Role;

/// The two subsets of zero-shot retrieval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subset {
    /// Images that train.
    Train,
    /// Images of unseen classes that test.
    Test,
}

impl Subset {
    /// `train` or `test`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// The line of a list that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The list.
    pub(crate) list: Arc<Path>,
    /// The line, from 1.
    pub(crate) number: usize,
}

impl Line {
    /// `error`, with the line it comes from.
    pub(crate) fn locate(&self, error: DataError) -> DataError {
        DataError::Listed {
            list: self.list.to_path_buf(),
            line: self.number,
            source: Box::new(error),
        }
    }
}

/// An image that a dataset says it has.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path below the dataset's root, as listed.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Where it is listed; none where the folder itself is the list.
    pub(crate) line: Option<Line>,
    /// What it is in the measure; of no meaning for training images.
    pub(crate) role: Role,
}

impl Entry {
    /// `error`, with the line that lists the image, if one does.
    pub(crate) fn locate(&self, error: DataError) -> DataError {
        match &self.line {
            Some(line) => line.locate(error),
            None => error,
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

/// A dataset before any image is opened.
#[derive(Debug)]
pub(crate) struct DatasetIndex {
    /// Classes that train, in the order of their labels.
    pub(crate) train: Vec<ClassEntries>,
    /// Classes that test, in the order of their labels.
    pub(crate) test: Vec<ClassEntries>,
    /// What is wrong with the lists and folders, in the order it was met.
    pub(crate) faults: Vec<DataError>,
    /// What is known of the dataset's published split.
    pub(crate) published: Option<Published>,
}

impl DatasetIndex {
    /// The classes of a subset.
    pub(crate) fn subset(&self, subset: Subset) -> &[ClassEntries] {
        match subset {
            Subset::Train => &self.train,
            Subset::Test => &self.test,
        }
    }
}

/// Collects images by class: classes come in the order of their keys, then of their names.
#[derive(Debug, Default)]
pub(super) struct Classes {
    by_key: BTreeMap<(usize, String), Vec<Entry>>,
}

impl Classes {
    /// Adds an image to class `name`, whose place in the order of classes is `key` (0 for all where
    /// names alone order them).
    pub(super) fn add(&mut self, key: usize, name: &str, image: Entry) {
        self.by_key
            .entry((key, name.to_string()))
            .or_default()
            .push(image);
    }

    /// The classes in order.
    pub(super) fn into_vec(self) -> Vec<ClassEntries> {
        self.by_key
            .into_iter()
            .map(|((_, name), images)| ClassEntries { name, images })
            .collect()
    }
}
