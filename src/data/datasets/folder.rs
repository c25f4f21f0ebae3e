//! A folder of class folders: `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
//!
//! Images are the files named `.jpg`, `.jpeg` or `.png`, in any case. Names are sorted, so a folder has
//! the same split on every machine. Hidden files and files that are not images (`Thumbs.db`,
//! `notes.txt`) are ignored. Images of other formats are an error, since leaving them out silently would
//! change the dataset.

use std::collections::HashSet;
use std::path::Path;

use super::class_split::divide;
use super::error::DatasetError;
use super::file_names::{is_image, name_below, refuse_other_images};
use super::files_on_disk::{EntryKind, entries, existing_folder};
use super::folder_error::FolderError;
use super::index::{ClassEntries, DatasetIndex, Entry};
use super::list_error::ListError;
use crate::data::config::FolderConfig;
use crate::data::split::SplitError;
use crate::progress::Task;

/// Reads the index from the folders below `config.root`. `split_seed` draws the training classes if there
/// is no split.
pub(super) fn index(
    config: &FolderConfig,
    split_seed: Option<u64>,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let hint = "it must contain train/CLASS/* and test/CLASS/*, or CLASS/*";
    let root = existing_folder(&config.root, hint)?;
    let missing_split = |found, missing| FolderError::MissingSplit {
        root: root.into(),
        found,
        missing,
    };
    let mut errors = Vec::new();
    let mut read = |folder: &Path| read_classes(root, folder, listing, &mut errors);
    let (train, test) = (root.join("train"), root.join("test"));
    let (train, test) = match (train.is_dir(), test.is_dir()) {
        (true, true) => (read(&train)?, read(&test)?),
        (true, false) => return Err(missing_split("train", "test").into()),
        (false, true) => return Err(missing_split("test", "train").into()),
        (false, false) => {
            let classes = read(root)?;
            let name = root.display().to_string();
            match divide(classes, &name, config.train_share, split_seed) {
                Ok(subsets) => subsets,
                // Errors in the folders may be the reason why there are too few classes.
                Err(error) => {
                    errors.push(error);
                    let more = errors.len() - 1;
                    return Err(errors.swap_remove(0).and_more(more));
                }
            }
        }
    };
    errors.extend(classes_in_both(&train, &test));
    Ok(DatasetIndex {
        train,
        test,
        errors,
        ..DatasetIndex::default()
    })
}

fn classes_in_both(train: &[ClassEntries], test: &[ClassEntries]) -> Vec<DatasetError> {
    let trained: HashSet<&str> = train.iter().map(|class| class.name.as_str()).collect();
    test.iter()
        .filter(|class| trained.contains(class.name.as_str()))
        .map(|class| SplitError::ClassInBothSplits {
            class: class.name.clone(),
        })
        .map(DatasetError::from)
        .collect()
}

fn read_classes(
    root: &Path,
    folder: &Path,
    listing: &Task<'_>,
    errors: &mut Vec<DatasetError>,
) -> Result<Vec<ClassEntries>, DatasetError> {
    let mut classes = Vec::new();
    let found = entries(folder, listing).map_err(|error| ListError::unreadable(folder, &error))?;
    for (name, entry) in found {
        if listing.check().is_err() {
            break;
        }
        let path = folder.join(&name);
        match entry {
            EntryKind::Folder => {
                let images = read_class(root, &path, listing, errors);
                if !images.is_empty() {
                    let name = name.to_string_lossy().into_owned();
                    classes.push(ClassEntries { name, images });
                }
            }
            EntryKind::File if is_image(&path) => {
                errors.push(FolderError::StrayImage { path }.into())
            }
            EntryKind::File => {
                errors.extend(refuse_other_images(&path).err().map(DatasetError::from))
            }
            EntryKind::Other => errors.push(FolderError::NotAFile { path }.into()),
        }
    }
    Ok(classes)
}

/// Reads the images of a class folder. An empty folder adds an error to `errors`.
fn read_class(
    root: &Path,
    folder: &Path,
    listing: &Task<'_>,
    errors: &mut Vec<DatasetError>,
) -> Vec<Entry> {
    let found = match entries(folder, listing) {
        Ok(found) => found,
        Err(error) => {
            errors.push(ListError::unreadable(folder, &error).into());
            return Vec::new();
        }
    };
    let before = errors.len();
    let mut images = Vec::new();
    for (name, entry) in found {
        let path = folder.join(name);
        match entry {
            EntryKind::Folder => errors.push(FolderError::NestedFolder { path }.into()),
            EntryKind::File if is_image(&path) => {
                images.push(image(root, &path));
                if listing.advance(1).is_err() {
                    break;
                }
            }
            EntryKind::File => {
                errors.extend(refuse_other_images(&path).err().map(DatasetError::from))
            }
            EntryKind::Other => errors.push(FolderError::NotAFile { path }.into()),
        }
    }
    if images.is_empty() && errors.len() == before {
        let path = folder.into();
        errors.push(FolderError::EmptyClass { path }.into());
    }
    images
}

fn image(root: &Path, path: &Path) -> Entry {
    Entry::new(name_below(root, path), path)
}

#[cfg(test)]
#[path = "tests/folder.rs"]
mod tests;
