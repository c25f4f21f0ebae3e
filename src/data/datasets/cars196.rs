//! Cars196 (Krause et al. 2013), in either form it was given out in: `car_ims/` with
//! `cars_annos.mat`, or `cars_train/`, `cars_test/` and `devkit/`.
//!
//! Classes 1 to 98 train and 99 to 196 test, over all images: the two folders of the second form
//! are another split, of images, which metric learning does not use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::collector::Collector;
use super::files_on_disk::at_or_below;
use super::index::{DatasetIndex, Entry, Line, Subset};
use super::list_file::row;
use super::mat_file::{MatFile, Record};
use super::published::{CARS196, CARS196_TWO_FOLDERS, Published};
use crate::data::DataError;
use crate::data::config::PublishedConfig;
use crate::evaluation::Role;

const HINT: &str = "data.root has to be the folder with car_ims/ and cars_annos.mat (car_ims.tgz and \
                    cars_annos.mat of Stanford Cars), or with cars_train/, cars_test/ and devkit/, or \
                    the one above it";
const LABELS_HINT: &str = "cars_test_annos.mat has no classes; put cars_test_annos_withlabels.mat of \
                           Stanford Cars into devkit/ or beside it";
/// The last class that trains.
const LAST_TRAINED: usize = 98;
/// The last class.
const LAST: usize = 196;

/// The form of one folder.
const ONE_FOLDER: [(&str, &str); 1] = [("car_ims", "cars_annos.mat")];
/// The form of two folders.
const TWO_FOLDERS: [(&str, &str); 2] = [
    ("cars_train", "cars_train_annos.mat"),
    ("cars_test", "cars_test_annos_withlabels.mat"),
];
/// Where the second form's lists may lie: as unpacked, as copied to Kaggle, or beside the images.
const LIST_FOLDERS: [&str; 4] = ["devkit", "car_devkit/devkit", "car_devkit", ""];

/// What its lists say.
pub(super) fn list(config: &PublishedConfig) -> Result<DatasetIndex, DataError> {
    let root = super::published::root(config, HINT)?;
    let is = |form: &[(&str, &str)], folder: &Path| {
        form.iter().all(|(images, _)| folder.join(images).is_dir())
    };
    let found = at_or_below(root, |folder| {
        is(&ONE_FOLDER, folder) || is(&TWO_FOLDERS, folder)
    });
    let root = found.unwrap_or_else(|| root.into());
    let two = is(&TWO_FOLDERS, &root);
    if is(&ONE_FOLDER, &root) && (!two || root.join(ONE_FOLDER[0].1).is_file()) {
        read_one_folder(&root)
    } else if two {
        read_two_folders(&root)
    } else {
        Err(DataError::FileMissing {
            path: root.join(ONE_FOLDER[0].0),
            hint: HINT,
        })
    }
}

fn read_one_folder(root: &Path) -> Result<DatasetIndex, DataError> {
    let [(folder, list)] = ONE_FOLDER;
    let path = root.join(list);
    let file = MatFile::read(&path, HINT)?;
    let mut reader = Reader::new(root, &file, &path)?;
    reader.add(&path, &file, folder, "relative_im_path")?;
    Ok(reader.finish(&[folder], CARS196))
}

fn read_two_folders(root: &Path) -> Result<DatasetIndex, DataError> {
    let meta = list_path(root, "cars_meta.mat");
    let mut reader = Reader::new(root, &MatFile::read(&meta, HINT)?, &meta)?;
    for (folder, list) in TWO_FOLDERS {
        let path = list_path(root, list);
        let hint = match folder {
            "cars_test" => LABELS_HINT,
            _ => HINT,
        };
        reader.add(&path, &MatFile::read(&path, hint)?, folder, "fname")?;
    }
    Ok(reader.finish(&TWO_FOLDERS.map(|(folder, _)| folder), CARS196_TWO_FOLDERS))
}

fn list_path(root: &Path, list: &str) -> PathBuf {
    let paths = LIST_FOLDERS.map(|folder| root.join(folder).join(list));
    let there = paths.iter().find(|path| path.is_file());
    there.unwrap_or(&paths[0]).clone()
}

/// The folder of images `name`, which some copies hold within one of the same name.
fn image_folder(root: &Path, name: &str) -> PathBuf {
    let (outer, inner) = (root.join(name), root.join(name).join(name));
    if inner.is_dir() { inner } else { outer }
}

struct Reader {
    root: PathBuf,
    names: Vec<Option<String>>,
    collector: Collector,
}

impl Reader {
    /// Takes the classes' names from `file`, which is at `path`.
    fn new(root: &Path, file: &MatFile, path: &Path) -> Result<Self, DataError> {
        let mut collector = Collector::default();
        let names = variable(file.texts("class_names"), "cell array class_names", path)?;
        if names.len() != LAST || names.contains(&None) {
            collector.faults.push(DataError::List {
                path: path.into(),
                reason: format!(
                    "has {} names in class_names where there have to be {LAST}: restore it from the \
                     archive",
                    names.iter().flatten().count()
                ),
            });
        }
        Ok(Self {
            root: root.into(),
            names,
            collector,
        })
    }

    /// Adds the images of `annotations`, which lie in `folder` under the name in `field`.
    fn add(
        &mut self,
        list: &Path,
        file: &MatFile,
        folder: &str,
        field: &str,
    ) -> Result<(), DataError> {
        let records = variable(
            file.records("annotations"),
            "struct array annotations",
            list,
        )?;
        let images = image_folder(&self.root, folder);
        let list: Arc<Path> = list.into();
        for (index, record) in records.into_iter().enumerate() {
            let line = Line {
                list: Arc::clone(&list),
                number: index + 1,
            };
            let Some((class, file)) = self.collector.keep(&line, annotation(record, field)) else {
                continue;
            };
            // Without `car_ims/`, which only the one folder's list has.
            let file = file.strip_prefix(&format!("{folder}/")).unwrap_or(&file);
            let image = Entry {
                name: format!("{folder}/{file}"),
                path: images.join(file),
                line: Some(line),
                role: Role::Both,
            };
            let subset = match class <= LAST_TRAINED {
                true => Subset::Train,
                false => Subset::Test,
            };
            let name = self.class_name(class);
            self.collector.add(subset, class, &name, image);
        }
        Ok(())
    }

    fn class_name(&self, class: usize) -> String {
        let name = self.names.get(class - 1).cloned().flatten();
        name.unwrap_or_else(|| class.to_string())
    }

    fn finish(mut self, folders: &[&str], published: Published) -> DatasetIndex {
        for folder in folders {
            let images = image_folder(&self.root, folder);
            self.collector.find_unlisted(&images);
        }
        self.collector.into_index(Some(published))
    }
}

fn variable<T>(found: Option<T>, what: &str, path: &Path) -> Result<T, DataError> {
    found.ok_or_else(|| DataError::List {
        path: path.into(),
        reason: format!("has no {what}: restore it from the archive"),
    })
}

/// The class, from 1, and the file of an annotation.
fn annotation(record: Record, field: &str) -> Result<(usize, String), DataError> {
    let Some(file) = record.text(field).filter(|file| !file.is_empty()) else {
        return Err(row(format!(
            "the annotation has no text {field}: restore the file from the archive"
        )));
    };
    match record.number("class") {
        Some(class) if (1..=LAST).contains(&class) => Ok((class, file)),
        Some(class) => Err(row(format!(
            "class {class} of {file} is not between 1 and {LAST}: restore the file from the archive"
        ))),
        None => Err(row(format!(
            "the annotation of {file} has no class: take the file with labels"
        ))),
    }
}

#[cfg(test)]
#[path = "tests/cars196.rs"]
mod tests;
