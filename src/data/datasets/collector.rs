//! From the lines of lists to classes: what every reader does with an image once it has its line
//! apart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::files_on_disk::FilesOnDisk;
use super::index::{Classes, DatasetIndex, Entry, Line, Subset};
use super::list_file::row;
use super::published::Published;
use crate::data::DataError;

/// Puts images into classes, and notes those that are listed twice, missing, or in no list.
#[derive(Debug, Default)]
pub(super) struct Collector {
    train: Classes,
    test: Classes,
    /// What is wrong, in the order it was met.
    pub(super) faults: Vec<DataError>,
    files: FilesOnDisk,
    first_lines: HashMap<PathBuf, Option<Line>>,
    subsets: BTreeMap<String, (Subset, Option<Line>)>,
    in_both: HashSet<String>,
}

impl Collector {
    /// The value, or nothing and a fault in `line`.
    pub(super) fn keep<T>(&mut self, line: &Line, result: Result<T, DataError>) -> Option<T> {
        result
            .map_err(|error| self.faults.push(line.locate(error)))
            .ok()
    }

    /// Adds an image to class `class`, whose place in the order of classes is `key` (0 for all where
    /// names alone order them), unless it was listed before or is missing.
    pub(super) fn add(&mut self, subset: Subset, key: usize, class: &str, image: Entry) {
        if let Some(fault) = self.listed_before(&image) {
            return self.faults.push(fault);
        }
        self.note_subset(subset, class, &image);
        if !self.files.name(&image.path) {
            let path = image.path.clone();
            return self
                .faults
                .push(image.locate(DataError::ImageMissing { path }));
        }
        match subset {
            Subset::Train => self.train.add(key, class, image),
            Subset::Test => self.test.add(key, class, image),
        }
    }

    fn listed_before(&mut self, image: &Entry) -> Option<DataError> {
        let Some(first) = self.first_lines.get(&image.path) else {
            let line = image.line.clone();
            self.first_lines.insert(image.path.clone(), line);
            return None;
        };
        let name = image.name.clone();
        let (first, line) = (first.as_ref()?, image.line.as_ref()?);
        Some(line.locate(match first.list == line.list {
            true => DataError::ListedTwice {
                name,
                first: first.number,
            },
            false => row(format!(
                "{name} is listed here and on {}: remove one of the two",
                place(first)
            )),
        }))
    }

    /// Notes on which subset the class is; one of both subsets is a fault, told once.
    fn note_subset(&mut self, subset: Subset, class: &str, image: &Entry) {
        let Some((first_side, first)) = self.subsets.get(class) else {
            let first = (subset, image.line.clone());
            self.subsets.insert(class.into(), first);
            return;
        };
        if *first_side == subset || !self.in_both.insert(class.into()) {
            return;
        }
        self.faults.push(match (first, &image.line) {
            (Some(first), Some(line)) => line.locate(row(format!(
                "class {class} is in the {} split here and in the {} split on {}; the test \
                 classes must never occur in training: remove it from one of them",
                subset.name(),
                first_side.name(),
                place(first)
            ))),
            _ => DataError::ClassInBothSplits {
                class: class.into(),
            },
        });
    }

    /// Names the image files below `folder` that no line has named.
    pub(super) fn find_unlisted(&mut self, folder: &Path) {
        let unlisted = self.files.unnamed_below(folder);
        let unlisted = unlisted
            .into_iter()
            .map(|path| DataError::Unlisted { path });
        self.faults.extend(unlisted);
    }

    /// What was collected.
    pub(super) fn into_index(mut self, published: Option<Published>) -> DatasetIndex {
        self.faults.extend(self.files.faults);
        DatasetIndex {
            train: self.train.into_vec(),
            test: self.test.into_vec(),
            faults: self.faults,
            published,
        }
    }
}

fn place(line: &Line) -> String {
    let list = line.list.file_name().unwrap_or(line.list.as_os_str());
    format!("line {} of {}", line.number, list.to_string_lossy())
}
