//! The entries of folders on disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::DatasetError;
use super::file_names::is_passed_over;
use crate::progress::Task;

/// Entries of a folder from one check of the cancellation to the next.
const CHECK_INTERVAL: usize = 256;

/// The kind of a folder entry. Links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A broken link, a pipe or a device.
    Other,
}

/// The entries of a folder by name.
pub(super) type Entries = BTreeMap<OsString, EntryKind>;

/// Returns the entries of a folder, sorted by name, without those that [are passed
/// over](is_passed_over). If `listing` is cancelled, some are missing.
pub(super) fn entries(folder: &Path, listing: &Task<'_>) -> io::Result<Entries> {
    let mut entries = all_entries(folder, listing)?;
    entries.retain(|name, _| !is_passed_over(name));
    Ok(entries)
}

/// Returns all entries of a folder. If `listing` is cancelled, some are missing.
pub(super) fn all_entries(folder: &Path, listing: &Task<'_>) -> io::Result<Entries> {
    let mut entries = BTreeMap::new();
    for (number, entry) in fs::read_dir(or_here(folder))?.enumerate() {
        if number.is_multiple_of(CHECK_INTERVAL) && listing.check().is_err() {
            break;
        }
        let entry = entry?;
        let mut kind = entry.file_type()?;
        if kind.is_symlink()
            && let Ok(target) = fs::metadata(entry.path())
        {
            kind = target.file_type();
        }
        let kind = if kind.is_dir() {
            EntryKind::Folder
        } else if kind.is_file() {
            EntryKind::File
        } else {
            EntryKind::Other
        };
        entries.insert(entry.file_name(), kind);
    }
    Ok(entries)
}

/// Returns `root`, or the first folder in it, for which `matches` is true.
pub(super) fn at_or_below(
    root: &Path,
    listing: &Task<'_>,
    matches: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if matches(root) {
        return Some(root.into());
    }
    let below = entries(root, listing).ok()?;
    below
        .into_iter()
        .filter(|(_, entry)| *entry == EntryKind::Folder)
        .map(|(name, _)| root.join(name))
        .find(|folder| matches(folder))
}

/// Returns `root` if it is a folder.
///
/// # Errors
/// [`DatasetError::RootMissing`] with `hint` if it is not.
pub(super) fn existing_folder<'a>(
    root: &'a Path,
    hint: &'static str,
) -> Result<&'a Path, DatasetError> {
    match root.is_dir() {
        true => Ok(root),
        false => Err(DatasetError::RootMissing {
            root: root.into(),
            hint,
        }),
    }
}

/// Returns the folder; the working folder if the path is empty.
fn or_here(folder: &Path) -> &Path {
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}
