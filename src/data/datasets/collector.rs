//! Collects listed images into classes. All readers of lists use it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::error::DatasetError;
use super::files_on_disk::FilesOnDisk;
use super::image_detection::refuse_raw_image;
use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::published::Published;
use crate::data::bounding_box::BoundingBox;
use crate::data::list_line::ListLine;
use crate::data::split::{SplitError, in_prose};
use crate::progress::Task;

/// Collects images into classes, and records images that are listed twice, missing, or not listed.
pub(super) struct Collector<'a> {
    listing: &'a Task<'a>,
    train: Classes,
    validation: Classes,
    test: Classes,
    /// Errors, in the order in which they were found.
    pub(super) errors: Vec<DatasetError>,
    /// Warnings, in the order in which they were found.
    pub(super) warnings: Vec<DatasetError>,
    /// Images that do not exist, also in `errors`.
    missing: Vec<(Subset, DatasetError)>,
    files: FilesOnDisk<'a>,
    /// The line that lists each file, or each part of a file.
    first_lines: HashMap<(PathBuf, Option<BoundingBox>), Option<ListLine>>,
    subsets: BTreeMap<String, (Subset, Option<ListLine>)>,
    in_both: HashSet<String>,
}

impl<'a> Collector<'a> {
    /// Makes a collector without images, which counts them in `listing`. If `listing` is cancelled, it
    /// ignores further images.
    pub(super) fn new(listing: &'a Task<'a>) -> Self {
        Self {
            listing,
            train: Classes::default(),
            validation: Classes::default(),
            test: Classes::default(),
            errors: Vec::new(),
            warnings: Vec::new(),
            missing: Vec::new(),
            files: FilesOnDisk::new(listing),
            first_lines: HashMap::new(),
            subsets: BTreeMap::new(),
            in_both: HashSet::new(),
        }
    }

    /// Returns the value, or records the error at `line` and returns `None`.
    pub(super) fn keep<T>(
        &mut self,
        line: &ListLine,
        result: Result<T, impl Into<DatasetError>>,
    ) -> Option<T> {
        result
            .map_err(|error| self.errors.push(error.into().with_line(line)))
            .ok()
    }

    /// Adds an image to class `class`, unless it was listed before or is missing.
    ///
    /// Classes are ordered by `key`, then by name; `key` is 0 for all if names alone order them.
    pub(super) fn add(&mut self, subset: Subset, key: usize, class: &str, image: Entry) {
        if self.listing.advance(1).is_err() {
            return;
        }
        if let Some(error) = self.listed_before(&image) {
            return self.errors.push(error);
        }
        self.record_subset(subset, class, &image);
        if let Err(error) = refuse_raw_image(&image.path) {
            return self.errors.push(image.locate(error));
        }
        if !self.files.find_listed(&image.path) {
            let error = image.locate(self.files.missing(&image.path));
            self.missing.push((subset, error.clone()));
            return self.errors.push(error);
        }
        match subset {
            Subset::Train => self.train.add(key, class, image),
            Subset::Validation => self.validation.add(key, class, image),
            Subset::Test => self.test.add(key, class, image),
        }
    }

    fn listed_before(&mut self, image: &Entry) -> Option<DatasetError> {
        let part = (image.path.clone(), image.bounding_box);
        let Some(first) = self.first_lines.get(&part) else {
            self.first_lines.insert(part, image.line.clone());
            return None;
        };
        let name = image.name.clone();
        let (first, line) = (first.as_ref()?, image.line.as_ref()?);
        let error = match first.list == line.list {
            true => ListError::ListedTwice {
                name,
                first: first.number,
            },
            false => ListError::row(format!(
                "{name} is listed here and on {}; remove one of the two",
                line_in_words(first)
            )),
        };
        Some(DatasetError::from(error).with_line(line))
    }

    /// Records the subset of a class. A class in two subsets is an error, which is reported once.
    fn record_subset(&mut self, subset: Subset, class: &str, image: &Entry) {
        let Some((first_subset, first)) = self.subsets.get(class) else {
            let first = (subset, image.line.clone());
            self.subsets.insert(class.into(), first);
            return;
        };
        if *first_subset == subset || !self.in_both.insert(class.into()) {
            return;
        }
        self.errors.push(match (first, &image.line) {
            (Some(first), Some(line)) => DatasetError::from(ListError::row(format!(
                "class {class} is in the {} split here and in the {} split on {}; the classes of \
                 a split must not occur in another; remove it from one of them",
                in_prose(subset.name()),
                in_prose(first_subset.name()),
                line_in_words(first)
            )))
            .with_line(line),
            _ => DatasetError::from(SplitError::ClassInBothSplits {
                class: class.into(),
            }),
        });
    }

    /// Records the image files below `folder` that no list has named.
    pub(super) fn find_unlisted(&mut self, folder: &Path) {
        let unlisted = self.files.unlisted_below(folder).into_iter();
        let errors = unlisted.map(|path| ListError::Unlisted { path }.into());
        self.errors.extend(errors);
    }

    /// Returns the collected classes and errors.
    pub(super) fn into_index(mut self, published: Option<Published>) -> DatasetIndex {
        let unreadable = self.files.errors.into_iter();
        self.errors.extend(unreadable.map(DatasetError::from));
        DatasetIndex {
            train: self.train.into_vec(),
            validation: self.validation.into_vec(),
            test: self.test.into_vec(),
            errors: self.errors,
            warnings: self.warnings,
            missing: self.missing,
            published,
        }
    }
}

fn line_in_words(line: &ListLine) -> String {
    let list = line.list.file_name().unwrap_or(line.list.as_os_str());
    format!("line {} of {}", line.number, list.to_string_lossy())
}

/// Images by class. Classes are ordered by their keys, then by their names.
#[derive(Debug, Default)]
struct Classes {
    by_key: BTreeMap<(usize, String), Vec<Entry>>,
}

impl Classes {
    fn add(&mut self, key: usize, name: &str, image: Entry) {
        self.by_key
            .entry((key, name.to_string()))
            .or_default()
            .push(image);
    }

    fn into_vec(self) -> Vec<ClassEntries> {
        self.by_key
            .into_iter()
            .map(|((_, name), images)| ClassEntries { name, images })
            .collect()
    }
}
