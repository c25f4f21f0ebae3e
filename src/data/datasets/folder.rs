//! A folder of class folders: `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
//!
//! Images are known by their suffix, or by their content if the suffix is of no known kind
//! ([`image_detection`](super::image_detection)). Names are sorted, so a folder has the same split on every
//! machine. Hidden files, those of systems (`Thumbs.db`) and files that are no images (`notes.txt`) are
//! ignored. Images beside the class folders are an error, since leaving them out silently would change the
//! dataset. What is beside `train/` and `test/` is a warning.

use std::collections::HashSet;
use std::path::Path;

use super::class_split::divide;
use super::error::DatasetError;
use super::file_names::name_below;
use super::files_on_disk::{EntryKind, count_images_below, entries, existing_folder};
use super::folder_error::FolderError;
use super::folder_layout::{as_split, split_of, used_as, wrong_layout};
use super::image_detection::{Detection, detect};
use super::index::{ClassEntries, DatasetIndex, Entry};
use super::list_error::ListError;
use crate::data::config::FolderConfig;
use crate::data::split::SplitError;
use crate::progress::Task;

/// Reads the index from the folders below `config.root`. `split_seed` draws the training classes if there
/// is no split. Classes that cannot be divided are all in the training split, with an error.
///
/// # Errors
/// If the root is not a folder, or cannot be read.
pub(super) fn index(
    config: &FolderConfig,
    split_seed: Option<u64>,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let hint = "it must contain train/CLASS/* and test/CLASS/*, or CLASS/*";
    let root = existing_folder(&config.root, hint)?;
    let mut reader = Reader {
        root,
        listing,
        errors: Vec::new(),
    };
    let (train, test) = (root.join("train"), root.join("test"));
    let (train, test) = match (train.is_dir(), test.is_dir()) {
        (true, true) => {
            let splits = (reader.classes(&train)?, reader.classes(&test)?);
            reader.report_unused()?;
            splits
        }
        (true, false) => {
            reader.report_missing_split("train", "test")?;
            (reader.classes(&train)?, Vec::new())
        }
        (false, true) => {
            reader.report_missing_split("test", "train")?;
            (Vec::new(), reader.classes(&test)?)
        }
        (false, false) => {
            let classes = reader.classes(root)?;
            let name = root.display().to_string();
            let numbers = (0..classes.len()).collect();
            match divide(numbers, &name, config.train_share, split_seed) {
                Ok((training, _)) => {
                    reader.errors.extend(root_is_split(root));
                    let training: HashSet<usize> = training.into_iter().collect();
                    let numbered = classes.into_iter().enumerate();
                    let (train, test): (Vec<_>, Vec<_>) =
                        numbered.partition(|(number, _)| training.contains(number));
                    let without_number = |classes: Vec<(usize, ClassEntries)>| {
                        classes.into_iter().map(|(_, class)| class).collect()
                    };
                    (without_number(train), without_number(test))
                }
                Err(error) => {
                    reader.explain(classes.len(), error);
                    (classes, Vec::new())
                }
            }
        }
    };
    let mut errors = reader.errors;
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

/// The warning of a root that is one of the splits of the folder above.
fn root_is_split(root: &Path) -> Option<DatasetError> {
    let parent = split_of(root)?;
    let root = root.into();
    Some(FolderError::RootIsSplit { root, parent }.into())
}

/// Reads classes, and collects errors.
struct Reader<'a> {
    root: &'a Path,
    listing: &'a Task<'a>,
    errors: Vec<DatasetError>,
}

impl Reader<'_> {
    /// Reads the classes in `folder`.
    ///
    /// # Errors
    /// If the folder cannot be read.
    fn classes(&mut self, folder: &Path) -> Result<Vec<ClassEntries>, ListError> {
        let mut classes = Vec::new();
        let found = entries(folder, self.listing);
        let found = found.map_err(|error| ListError::unreadable(folder, &error))?;
        for (name, entry) in found {
            if self.listing.check().is_err() {
                break;
            }
            let path = folder.join(&name);
            match entry {
                EntryKind::Folder => match name.into_string() {
                    Ok(name) => {
                        let images = self.class(&path);
                        if !images.is_empty() {
                            classes.push(ClassEntries { name, images });
                        }
                    }
                    Err(_) => self.errors.push(FolderError::NotUtf8 { path }.into()),
                },
                EntryKind::File => match detect(&path) {
                    Detection::Image => self.errors.push(FolderError::StrayImage { path }.into()),
                    Detection::Refused(error) => self.errors.push(error.into()),
                    Detection::NoImage => {}
                },
                EntryKind::Other => self.errors.push(FolderError::NotAFile { path }.into()),
            }
        }
        Ok(classes)
    }

    /// Reads the images of a class folder. An empty folder is an error.
    fn class(&mut self, folder: &Path) -> Vec<Entry> {
        let found = match entries(folder, self.listing) {
            Ok(found) => found,
            Err(error) => {
                self.errors
                    .push(ListError::unreadable(folder, &error).into());
                return Vec::new();
            }
        };
        let before = self.errors.len();
        let mut images = Vec::new();
        for (name, entry) in found {
            let path = folder.join(name);
            match entry {
                EntryKind::Folder => self.errors.push(FolderError::NestedFolder { path }.into()),
                EntryKind::File => match detect(&path) {
                    Detection::Image => match image(self.root, &path) {
                        Ok(image) => images.push(image),
                        Err(error) => self.errors.push(error.into()),
                    },
                    Detection::Refused(error) => self.errors.push(error.into()),
                    Detection::NoImage => continue,
                },
                EntryKind::Other => self.errors.push(FolderError::NotAFile { path }.into()),
            }
            if entry == EntryKind::File && self.listing.advance(1).is_err() {
                break;
            }
        }
        if images.is_empty() && self.errors.len() == before {
            let path = folder.into();
            self.errors.push(FolderError::EmptyClass { path }.into());
        }
        images
    }

    /// Warns of images beside `train/` and `test/`.
    ///
    /// # Errors
    /// If the root cannot be read.
    fn report_unused(&mut self) -> Result<(), ListError> {
        let found = entries(self.root, self.listing);
        let found = found.map_err(|error| ListError::unreadable(self.root, &error))?;
        for (name, entry) in found {
            let path = self.root.join(&name);
            match entry {
                EntryKind::Folder if name != "train" && name != "test" => {
                    let images = count_images_below(&path, self.listing);
                    let hint = match used_as(&name) {
                        Some("validation") => {
                            "validation classes are held out of those in train/, so move its class \
                             folders there to use them"
                        }
                        _ => "move its class folders into train/ or test/ to use them",
                    };
                    if images > 0 {
                        let error = FolderError::UnusedFolder { path, images, hint };
                        self.errors.push(error.into());
                    }
                }
                EntryKind::File if detect(&path).is_image() => {
                    self.errors.push(FolderError::UnusedImage { path }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reports that only one of `train/` and `test/` exists.
    ///
    /// # Errors
    /// If the root cannot be read.
    fn report_missing_split(
        &mut self,
        found: &'static str,
        missing: &'static str,
    ) -> Result<(), ListError> {
        let names = entries(self.root, self.listing);
        let names = names.map_err(|error| ListError::unreadable(self.root, &error))?;
        let hint = match as_split(&names, missing) {
            Some(other) => format!("rename {other}/ to {missing}/ if it contains its classes"),
            None => format!(
                "add {missing}/ with one folder per class, or put the class folders directly under the root"
            ),
        };
        let error = FolderError::MissingSplit {
            root: self.root.into(),
            found,
            missing,
            hint,
        };
        self.errors.push(error.into());
        Ok(())
    }

    /// Reports why the classes in the root cannot be divided: another folder is the root, or the `error`
    /// of dividing them, after those of the folders.
    fn explain(&mut self, classes: usize, error: DatasetError) {
        let is_stray = |error: &&DatasetError| {
            matches!(error, DatasetError::Folder(FolderError::StrayImage { .. }))
        };
        let stray = self.errors.iter().filter(is_stray).count();
        match wrong_layout(self.root, classes, stray, self.listing) {
            // The other errors result from it.
            Some(layout) if classes == 0 => self.errors = vec![layout.into()],
            Some(layout) => {
                self.errors.insert(0, layout.into());
                self.errors.push(error);
            }
            None => self.errors.push(error),
        }
    }
}

fn image(root: &Path, path: &Path) -> Result<Entry, FolderError> {
    Ok(Entry::new(name_below(root, path)?, path))
}

#[cfg(test)]
#[path = "tests/folder.rs"]
mod tests;
