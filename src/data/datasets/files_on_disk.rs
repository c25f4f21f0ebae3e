//! The files on disk. Every folder is read once, so that looking up a hundred thousand listed images is
//! fast, also over a network.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::file_names::is_passed_over;
use super::folder_entries::{Entries, all_entries};
pub(super) use super::folder_entries::{EntryKind, at_or_below, entries, existing_folder};
use super::image_detection::detect;
use super::list_error::ListError;
use super::near_match::NearMatches;
use crate::progress::Task;

/// Returns the number of images in a folder and below.
pub(super) fn count_images_below(folder: &Path, listing: &Task<'_>) -> usize {
    let mut files = FilesOnDisk::new(listing);
    files.unlisted_below(folder).len()
}

/// The folders read so far, and the files in them that a list has named.
pub(super) struct FilesOnDisk<'a> {
    listing: &'a Task<'a>,
    folders: HashMap<PathBuf, Entries>,
    named: HashMap<PathBuf, HashSet<OsString>>,
    near_matches: NearMatches<'a>,
    /// Folders that could not be read.
    pub(super) errors: Vec<ListError>,
}

impl<'a> FilesOnDisk<'a> {
    /// Makes a record of no files. Reading folders ends early if `listing` is cancelled.
    pub(super) fn new(listing: &'a Task<'a>) -> Self {
        Self {
            listing,
            folders: HashMap::new(),
            named: HashMap::new(),
            near_matches: NearMatches::new(listing),
            errors: Vec::new(),
        }
    }

    /// Returns whether the file exists with exactly this spelling, and records that a list has named it.
    pub(super) fn find_listed(&mut self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        if !self.folders.contains_key(folder) {
            self.read(folder);
        }
        let exists = self.has_file(folder, name);
        if exists {
            match self.named.get_mut(folder) {
                Some(named) => named.insert(name.into()),
                None => {
                    let named = HashSet::from([name.into()]);
                    self.named.insert(folder.into(), named).is_none()
                }
            };
        }
        exists
    }

    /// Returns the error of a listed image that does not exist. It names a file of nearly the same name.
    pub(super) fn missing(&mut self, path: &Path) -> ListError {
        ListError::ImageMissing {
            path: path.into(),
            near: self.near_matches.find(path),
        }
    }

    /// Returns the image files below `folder` that no list has named, sorted by path.
    pub(super) fn unlisted_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut unlisted = Vec::new();
        self.visit(folder, &mut HashSet::new(), &mut unlisted);
        unlisted
    }

    fn visit(&mut self, folder: &Path, seen: &mut HashSet<PathBuf>, unlisted: &mut Vec<PathBuf>) {
        // A link to a parent folder would recurse without end.
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.into())) {
            return;
        }
        if !self.folders.contains_key(folder) {
            self.read(folder);
        }
        for (name, entry) in self.folders[folder].clone() {
            if self.listing.check().is_err() {
                return;
            }
            if is_passed_over(&name) {
                continue;
            }
            let path = folder.join(&name);
            if entry == EntryKind::Folder {
                self.visit(&path, seen, unlisted);
            } else if entry == EntryKind::File
                && !self.named.get(folder).is_some_and(|n| n.contains(&name))
                && detect(&path).is_image()
            {
                unlisted.push(path);
            }
        }
    }

    fn has_file(&self, folder: &Path, name: &OsStr) -> bool {
        self.folders[folder].get(name) == Some(&EntryKind::File)
    }

    /// Reads a folder. A folder that does not exist is empty.
    fn read(&mut self, folder: &Path) {
        let found = all_entries(folder, self.listing).unwrap_or_else(|error| {
            use io::ErrorKind::{NotADirectory, NotFound};
            if !matches!(error.kind(), NotFound | NotADirectory) {
                self.errors.push(ListError::unreadable(folder, &error));
            }
            Entries::new()
        });
        self.folders.insert(folder.into(), found);
    }
}

#[cfg(test)]
#[path = "tests/files_on_disk.rs"]
mod tests;
