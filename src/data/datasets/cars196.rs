//! Cars196 (Krause et al. 2013), in either published form: `car_ims/` with `cars_annos.mat`, or
//! `cars_train/`, `cars_test/` and `devkit/`.
//!
//! Of all images, classes 1 to 98 are the training split and 99 to 196 the test split. The two folders of
//! the second form are a split of images, which metric learning does not use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::collector::Collector;
use super::error::DatasetError;
use super::files_on_disk::{at_or_below, existing_folder};
use super::index::{DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::mat_file::{MatFile, Record};
use super::published::{CARS196, CARS196_TWO_FOLDERS, Published};
use crate::data::config::PublishedConfig;
use crate::data::list_line::ListLine;
use crate::progress::Task;

const HINT: &str = "data.root must be the folder with car_ims/ and cars_annos.mat (car_ims.tgz and \
                    cars_annos.mat of Stanford Cars), or with cars_train/, cars_test/ and devkit/, or \
                    its parent";
const LABELS_HINT: &str = "cars_test_annos.mat has no classes; put cars_test_annos_withlabels.mat of \
                           Stanford Cars into devkit/ or beside it";
/// The last training class.
const LAST_TRAINING: usize = 98;
/// The last class.
const LAST: usize = 196;

/// The form with one folder: images and list.
const ONE_FOLDER: [(&str, &str); 1] = [("car_ims", "cars_annos.mat")];
/// The form with two folders: images and list of each.
const TWO_FOLDERS: [(&str, &str); 2] = [
    ("cars_train", "cars_train_annos.mat"),
    ("cars_test", "cars_test_annos_withlabels.mat"),
];
/// Folders of the second form's lists: as unpacked, as copied to Kaggle, or beside the images.
const LIST_FOLDERS: [&str; 4] = ["devkit", "car_devkit/devkit", "car_devkit", ""];

/// Reads the index from the lists.
pub(super) fn index(
    config: &PublishedConfig,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let root = existing_folder(&config.root, HINT)?;
    let has_form = |form: &[(&str, &str)], folder: &Path| {
        form.iter().all(|(images, _)| folder.join(images).is_dir())
    };
    let found = at_or_below(root, listing, |folder| {
        has_form(&ONE_FOLDER, folder) || has_form(&TWO_FOLDERS, folder)
    });
    let root = found.unwrap_or_else(|| root.into());
    let two = has_form(&TWO_FOLDERS, &root);
    if has_form(&ONE_FOLDER, &root) && (!two || root.join(ONE_FOLDER[0].1).is_file()) {
        read_one_folder(&root, listing)
    } else if two {
        read_two_folders(&root, listing)
    } else {
        Err(ListError::Missing {
            path: root.join(ONE_FOLDER[0].0),
            hint: HINT,
        }
        .into())
    }
}

fn read_one_folder(root: &Path, listing: &Task<'_>) -> Result<DatasetIndex, DatasetError> {
    let [(folder, list)] = ONE_FOLDER;
    let path = root.join(list);
    let file = MatFile::read(&path, HINT)?;
    let mut reader = Reader::new(root, &file, &path, listing)?;
    reader.add(&path, &file, folder, "relative_im_path")?;
    Ok(reader.finish(&[folder], CARS196))
}

fn read_two_folders(root: &Path, listing: &Task<'_>) -> Result<DatasetIndex, DatasetError> {
    let meta = list_path(root, "cars_meta.mat");
    let mut reader = Reader::new(root, &MatFile::read(&meta, HINT)?, &meta, listing)?;
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
    let existing = paths.iter().find(|path| path.is_file());
    existing.unwrap_or(&paths[0]).clone()
}

/// Returns the folder of images `name`. Some copies nest it in a folder of the same name.
fn image_folder(root: &Path, name: &str) -> PathBuf {
    let (outer, inner) = (root.join(name), root.join(name).join(name));
    if inner.is_dir() { inner } else { outer }
}

struct Reader<'a> {
    root: PathBuf,
    names: Vec<Option<String>>,
    collector: Collector<'a>,
}

impl<'a> Reader<'a> {
    /// Reads the names of the classes from `file`, which was read from `path`.
    fn new(
        root: &Path,
        file: &MatFile,
        path: &Path,
        listing: &'a Task<'a>,
    ) -> Result<Self, DatasetError> {
        let mut collector = Collector::new(listing);
        let names = variable(file.texts("class_names"), "cell array class_names", path)?;
        if names.len() != LAST || names.contains(&None) {
            let reason = format!(
                "has {} names in class_names instead of {LAST}; restore it from the archive",
                names.iter().flatten().count()
            );
            let error = ListError::invalid(path, reason);
            collector.errors.push(error.into());
        }
        Ok(Self {
            root: root.into(),
            names,
            collector,
        })
    }

    /// Adds the images of `annotations`. They are in `folder`, with the file name in `field`.
    fn add(
        &mut self,
        list: &Path,
        file: &MatFile,
        folder: &str,
        field: &str,
    ) -> Result<(), DatasetError> {
        let records = variable(
            file.records("annotations"),
            "struct array annotations",
            list,
        )?;
        let images = image_folder(&self.root, folder);
        let list: Arc<Path> = list.into();
        for (index, record) in records.into_iter().enumerate() {
            let line = ListLine {
                list: Arc::clone(&list),
                number: index + 1,
            };
            let Some((class, file)) = self.collector.keep(&line, annotation(record, field)) else {
                continue;
            };
            // Only the list of the form with one folder includes the folder, `car_ims/`.
            let file = file.strip_prefix(&format!("{folder}/")).unwrap_or(&file);
            let image = Entry {
                line: Some(line),
                ..Entry::new(format!("{folder}/{file}"), images.join(file))
            };
            let subset = match class <= LAST_TRAINING {
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

fn variable<T>(found: Option<T>, what: &str, path: &Path) -> Result<T, ListError> {
    found.ok_or_else(|| {
        ListError::invalid(path, format!("has no {what}; restore it from the archive"))
    })
}

/// Returns the class, from 1, and the file of an annotation.
fn annotation(record: Record, field: &str) -> Result<(usize, String), ListError> {
    let Some(file) = record.text(field).filter(|file| !file.is_empty()) else {
        return Err(ListError::row(format!(
            "the annotation has no text {field}; restore the file from the archive"
        )));
    };
    match record.number("class") {
        Some(class) if (1..=LAST).contains(&class) => Ok((class, file)),
        Some(class) => Err(ListError::row(format!(
            "class {class} of {file} is not between 1 and {LAST}; restore the file from the archive"
        ))),
        None => Err(ListError::row(format!(
            "the annotation of {file} has no class; use the file with labels"
        ))),
    }
}

#[cfg(test)]
#[path = "tests/cars196.rs"]
mod tests;
