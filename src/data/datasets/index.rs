//! The index of a dataset: what its lists and folders name, before any image is opened.
//!
//! A reader processes its lists completely and stores errors in [`DatasetIndex::errors`], so that `data
//! check` can report all of them. Opening the dataset for training reports the first.

use std::path::PathBuf;

use super::error::DatasetError;
use super::published::Published;
use crate::data::bounding_box::BoundingBox;
use crate::data::list_line::ListLine;
use crate::evaluation::Role;

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subset {
    /// The training images.
    Train,
    /// The images that choose the best epoch, of classes unseen in training. Most datasets have none.
    Validation,
    /// The test images, of classes unseen in training.
    Test,
}

impl Subset {
    /// All subsets, in the order of reports.
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns `train`, `validation` or `test`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// An image of the index.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path below the dataset's root, as listed, and its bounding box if it has one: `a.jpg#12,4,200,180`.
    pub(crate) name: String,
    /// Its file.
    pub(crate) path: PathBuf,
    /// The line that lists it. `None` for a dataset without lists.
    pub(crate) line: Option<ListLine>,
    /// Its role in the evaluation. Unused for training images.
    pub(crate) role: Role,
    /// The part of the image that is used. `None` for the whole image.
    pub(crate) bounding_box: Option<BoundingBox>,
}

impl Entry {
    /// Makes an entry without a line, whose whole image is both query and gallery.
    pub(crate) fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            line: None,
            role: Role::Both,
            bounding_box: None,
        }
    }

    /// Sets the part of the image that is used, and adds it to the name, so that the parts of an image have
    /// different names.
    pub(crate) fn with_bounding_box(mut self, bounding_box: Option<BoundingBox>) -> Self {
        if let Some(bounding_box) = bounding_box {
            self.name = format!("{}#{bounding_box}", self.name);
        }
        self.bounding_box = bounding_box;
        self
    }

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
#[derive(Debug, Default)]
pub(crate) struct DatasetIndex {
    /// Training classes, in the order of their labels.
    pub(crate) train: Vec<ClassEntries>,
    /// Validation classes, in the order of their labels. Empty if the dataset lists none.
    pub(crate) validation: Vec<ClassEntries>,
    /// Test classes, in the order of their labels.
    pub(crate) test: Vec<ClassEntries>,
    /// Errors in the lists and folders, in the order in which they were found.
    pub(crate) errors: Vec<DatasetError>,
    /// What may not be intended, but does not prevent a training.
    pub(crate) warnings: Vec<DatasetError>,
    /// Listed images that do not exist, also in `errors`.
    pub(crate) missing: Vec<(Subset, DatasetError)>,
    /// The published split of the dataset, if there is one.
    pub(crate) published: Option<Published>,
}

impl DatasetIndex {
    /// Returns whether the dataset lists validation images, also if none of them exists.
    pub(crate) fn has_validation(&self) -> bool {
        let missing = self.missing.iter();
        !self.validation.is_empty()
            || missing
                .map(|(of, _)| of)
                .any(|of| *of == Subset::Validation)
    }

    /// Returns the classes of a subset.
    pub(crate) fn classes(&self, subset: Subset) -> &[ClassEntries] {
        match subset {
            Subset::Train => &self.train,
            Subset::Validation => &self.validation,
            Subset::Test => &self.test,
        }
    }

    /// Returns the classes of a subset.
    pub(super) fn classes_mut(&mut self, subset: Subset) -> &mut Vec<ClassEntries> {
        match subset {
            Subset::Train => &mut self.train,
            Subset::Validation => &mut self.validation,
            Subset::Test => &mut self.test,
        }
    }
}
