//! Guesses for a folder that is not arranged as a dataset: which folder was meant.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::folder_entries::{Entries, EntryKind, entries};
use super::folder_error::FolderError;
use super::image_detection::{Detection, detect};
use crate::progress::Task;

/// Levels below the root that are searched for a dataset.
const LEVELS: usize = 3;
/// The most folders that are searched for a dataset.
const MAXIMUM_FOLDERS: usize = 1000;
/// Fewest class folders of a dataset.
const FEWEST_CLASSES: usize = 2;

/// Names of splits' folders in lower case, and the split that they usually are.
const SPLIT_NAMES: [(&str, &str); 14] = [
    ("train", "train"),
    ("training", "train"),
    ("trainset", "train"),
    ("train_set", "train"),
    ("test", "test"),
    ("testing", "test"),
    ("testset", "test"),
    ("test_set", "test"),
    ("eval", "validation"),
    ("val", "validation"),
    ("valid", "validation"),
    ("validate", "validation"),
    ("validation", "validation"),
    ("dev", "validation"),
];

/// Returns the split that a folder of this name usually is: `train`, `test` or `validation`.
pub(super) fn used_as(name: &OsStr) -> Option<&'static str> {
    let name = name.to_str()?.to_lowercase();
    let known = SPLIT_NAMES.iter().find(|(known, _)| *known == name);
    known.map(|&(_, split)| split)
}

/// Returns the folder among `entries` that probably is the split `wanted`, `train` or `test`, under another
/// name. Without a test folder, it is the one for validation.
pub(super) fn as_split(entries: &Entries, wanted: &str) -> Option<String> {
    let folders = || {
        let folders = entries
            .iter()
            .filter(|(_, kind)| **kind == EntryKind::Folder);
        folders.map(|(name, _)| name)
    };
    let of = |split| folders().find(|name| used_as(name) == Some(split));
    let found = of(wanted).or_else(|| of("validation").filter(|_| wanted == "test"));
    found.map(|name| name.to_string_lossy().into_owned())
}

/// Returns the folder above if `root` is its `train/` or `test/`.
pub(super) fn split_of(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let name = root.file_name()?;
    let parent = root.parent()?;
    ((name == "train" || name == "test") && has_splits(parent)).then(|| shortened(parent))
}

/// Returns why the classes in `root`, too few to be divided, probably are not those of the dataset: another
/// folder was meant, or folders have other names. `images` is the number of images directly in it.
pub(super) fn wrong_layout(
    root: &Path,
    classes: usize,
    images: usize,
    listing: &Task<'_>,
) -> Option<FolderError> {
    let wrong_root = |reason, suggestion| FolderError::WrongRoot {
        root: root.into(),
        reason,
        suggestion,
    };
    let names = entries(root, listing).unwrap_or_default();
    if let (Some(train), Some(test)) = (as_split(&names, "train"), as_split(&names, "test")) {
        return Some(FolderError::SplitNames {
            root: root.into(),
            found: format!("{train}/ and {test}/"),
        });
    }
    if let Some(parent) = split_of(root) {
        let reason = "is one of two splits, and has too few classes to be divided again";
        return Some(wrong_root(reason, parent));
    }
    if let Some(below) = find_dataset_below(root, listing) {
        let reason = match classes {
            0 => "has no class folders, but a folder in it has",
            _ => "has too few class folders, but a folder in it has more",
        };
        return Some(wrong_root(reason, below));
    }
    if classes > 0 || images == 0 {
        return None;
    }
    Some(match find_dataset_above(root, listing) {
        Some(above) => wrong_root("is the folder of one class", above),
        None => FolderError::NoClassFolders {
            root: root.into(),
            images,
        },
    })
}

/// Returns the only folder below `root`, at the highest level with one, that is arranged as a dataset.
fn find_dataset_below(root: &Path, listing: &Task<'_>) -> Option<PathBuf> {
    let mut level = vec![root.to_path_buf()];
    let mut searched = 0;
    for _ in 0..LEVELS {
        let mut below = Vec::new();
        for folder in &level {
            below.extend(folders_in(folder, listing));
        }
        searched += below.len();
        if searched > MAXIMUM_FOLDERS || listing.check().is_err() {
            return None;
        }
        let mut datasets = below.iter().filter(|folder| is_dataset(folder, listing));
        match (datasets.next(), datasets.next()) {
            (Some(dataset), None) => return Some(dataset.clone()),
            (Some(_), Some(_)) => return None,
            (None, _) => level = below,
        }
    }
    None
}

/// Returns the folder that is arranged as a dataset of which `root` is the folder of one class.
fn find_dataset_above(root: &Path, listing: &Task<'_>) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let parent = root.parent()?;
    if let Some(dataset) = split_of(parent) {
        return Some(dataset);
    }
    is_dataset(parent, listing).then(|| shortened(parent))
}

fn has_splits(folder: &Path) -> bool {
    folder.join("train").is_dir() && folder.join("test").is_dir()
}

fn is_dataset(folder: &Path, listing: &Task<'_>) -> bool {
    let mut classes = folders_in(folder, listing).into_iter();
    let mut has_class = || classes.any(|class| has_image(&class, listing));
    has_splits(folder) || (0..FEWEST_CLASSES).all(|_| has_class())
}

/// Returns whether a folder contains an image, not counting folders in it.
fn has_image(folder: &Path, listing: &Task<'_>) -> bool {
    let mut found = entries(folder, listing).unwrap_or_default().into_iter();
    found.any(|(name, kind)| {
        kind == EntryKind::File && detect(&folder.join(name)) == Detection::Image
    })
}

fn folders_in(folder: &Path, listing: &Task<'_>) -> Vec<PathBuf> {
    let found = entries(folder, listing).unwrap_or_default().into_iter();
    let folders = found.filter(|(_, kind)| *kind == EntryKind::Folder);
    folders.map(|(name, _)| folder.join(name)).collect()
}

/// Returns the path relative to the working folder, if it is below.
fn shortened(path: &Path) -> PathBuf {
    let working = std::env::current_dir().and_then(|folder| folder.canonicalize());
    match working.as_deref().map(|folder| path.strip_prefix(folder)) {
        Ok(Ok(below)) if below.as_os_str().is_empty() => ".".into(),
        Ok(Ok(below)) => below.into(),
        _ => path.into(),
    }
}
