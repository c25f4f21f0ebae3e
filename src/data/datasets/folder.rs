//! A folder of class folders: `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
//!
//! Images are the files named `.jpg`, `.jpeg` or `.png`, in any case; names are sorted, so that a
//! folder gives the same split on every machine. Hidden files and files that are no images
//! (`Thumbs.db`, `notes.txt`) are passed over; images of other kinds are refused, since leaving
//! them out silently would change the dataset.

use std::collections::HashSet;
use std::path::Path;

use super::class_policy::divide;
use super::files_on_disk::{EntryKind, entries, is_image, refuse_other_images, unreadable};
use super::index::{ClassEntries, DatasetIndex, Entry};
use crate::data::DataError;
use crate::data::config::FolderConfig;
use crate::evaluation::Role;

/// What the folders below `config.root` hold.
pub(super) fn list(config: &FolderConfig) -> Result<DatasetIndex, DataError> {
    let root = &config.root;
    if !root.is_dir() {
        return Err(DataError::RootMissing {
            root: root.clone(),
            hint: "it has to hold train/CLASS/* and test/CLASS/*, or CLASS/*",
        });
    }
    let missing_split = |found, missing| DataError::MissingSplit {
        root: root.clone(),
        found,
        missing,
    };
    let mut faults = Vec::new();
    let mut read = |folder: &Path| read_classes(root, folder, &mut faults);
    let (train, test) = (root.join("train"), root.join("test"));
    let (train, test) = match (train.is_dir(), test.is_dir()) {
        (true, true) => (read(&train)?, read(&test)?),
        (true, false) => return Err(missing_split("train", "test")),
        (false, true) => return Err(missing_split("test", "train")),
        (false, false) => {
            let classes = read(root)?;
            let name = root.display().to_string();
            match divide(classes, &name, config.train_share, config.split_seed) {
                Ok(subsets) => subsets,
                // What is wrong within the folders may be why there are too few.
                Err(error) => {
                    faults.push(error);
                    let more = faults.len() - 1;
                    return Err(faults.swap_remove(0).and_more(more));
                }
            }
        }
    };
    faults.extend(in_both(&train, &test));
    Ok(DatasetIndex {
        train,
        test,
        faults,
        published: None,
    })
}

fn in_both(train: &[ClassEntries], test: &[ClassEntries]) -> Vec<DataError> {
    let trained: HashSet<&str> = train.iter().map(|class| class.name.as_str()).collect();
    test.iter()
        .filter(|class| trained.contains(class.name.as_str()))
        .map(|class| DataError::ClassInBothSplits {
            class: class.name.clone(),
        })
        .collect()
}

fn read_classes(
    root: &Path,
    folder: &Path,
    faults: &mut Vec<DataError>,
) -> Result<Vec<ClassEntries>, DataError> {
    let mut classes = Vec::new();
    for (name, entry) in entries(folder).map_err(|error| unreadable(folder, &error))? {
        let path = folder.join(&name);
        match entry {
            EntryKind::Folder => {
                let images = read_class(root, &path, faults);
                if !images.is_empty() {
                    let name = name.to_string_lossy().into_owned();
                    classes.push(ClassEntries { name, images });
                }
            }
            EntryKind::File if is_image(&path) => faults.push(DataError::StrayImage { path }),
            EntryKind::File => faults.extend(refuse_other_images(&path).err()),
            EntryKind::Other => faults.push(DataError::NoFile { path }),
        }
    }
    Ok(classes)
}

/// The images of a class folder; where there is none, `faults` says so.
fn read_class(root: &Path, folder: &Path, faults: &mut Vec<DataError>) -> Vec<Entry> {
    let found = match entries(folder) {
        Ok(found) => found,
        Err(error) => {
            faults.push(unreadable(folder, &error));
            return Vec::new();
        }
    };
    let before = faults.len();
    let mut images = Vec::new();
    for (name, entry) in found {
        let path = folder.join(name);
        match entry {
            EntryKind::Folder => faults.push(DataError::NestedFolder { path }),
            EntryKind::File if is_image(&path) => images.push(image(root, &path)),
            EntryKind::File => faults.extend(refuse_other_images(&path).err()),
            EntryKind::Other => faults.push(DataError::NoFile { path }),
        }
    }
    if images.is_empty() && faults.len() == before {
        faults.push(DataError::EmptyClass {
            path: folder.into(),
        });
    }
    images
}

fn image(root: &Path, path: &Path) -> Entry {
    Entry {
        name: name_below(root, path),
        path: path.into(),
        line: None,
        role: Role::Both,
    }
}

/// The path below `root`, written as on Unix, so that a folder has the same names on every machine.
pub(super) fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
#[path = "tests/folder.rs"]
mod tests;
