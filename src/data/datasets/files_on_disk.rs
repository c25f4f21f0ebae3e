//! The files on disk. Every folder is read once, so that looking up a hundred thousand listed images is
//! fast, also over a network.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::DatasetError;
use super::file_names::is_image;
use super::list_error::ListError;
use crate::progress::Task;

/// A folder that macOS' archiver adds.
const RESOURCE_FORKS: &str = "__MACOSX";

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

/// Returns the entries of a folder that are not hidden, sorted by name. If `listing` is cancelled, some
/// are missing.
pub(super) fn entries(
    folder: &Path,
    listing: &Task<'_>,
) -> io::Result<BTreeMap<OsString, EntryKind>> {
    let mut entries = BTreeMap::new();
    for (number, entry) in fs::read_dir(folder)?.enumerate() {
        if number.is_multiple_of(CHECK_INTERVAL) && listing.check().is_err() {
            break;
        }
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == RESOURCE_FORKS {
            continue;
        }
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
        entries.insert(name, kind);
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

/// The folders read so far, and the files in them that a list has named.
pub(super) struct FilesOnDisk<'a> {
    listing: &'a Task<'a>,
    folders: HashMap<PathBuf, BTreeMap<OsString, EntryKind>>,
    named: HashMap<PathBuf, HashSet<OsString>>,
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
            let path = folder.join(&name);
            if entry == EntryKind::Folder {
                self.visit(&path, seen, unlisted);
            } else if entry == EntryKind::File
                && is_image(&path)
                && !self.named.get(folder).is_some_and(|n| n.contains(&name))
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
        let here = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let found = entries(here, self.listing).unwrap_or_else(|error| {
            use io::ErrorKind::{NotADirectory, NotFound};
            if !matches!(error.kind(), NotFound | NotADirectory) {
                self.errors.push(ListError::unreadable(folder, &error));
            }
            BTreeMap::new()
        });
        self.folders.insert(folder.into(), found);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::test_tree::unmonitored;
    use super::*;

    fn tree(names: &[&str]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn files_are_found_by_exact_name_and_others_are_unlisted() {
        let folder = tree(&[
            "a/0.jpg",
            "a/1.JPG",
            "a/b/2.png",
            "a/._0.jpg",
            "a/x.txt",
            "__MACOSX/0.jpg",
        ]);
        let listing = unmonitored();
        let (root, mut files) = (folder.path(), FilesOnDisk::new(&listing));
        assert!(files.find_listed(&root.join("a/0.jpg")));
        assert!(!files.find_listed(&root.join("a/1.jpg")), "different case");
        assert!(!files.find_listed(&root.join("a/b")), "a folder");
        assert!(!files.find_listed(&root.join("c/0.jpg")), "no such folder");
        assert!(
            !files.find_listed(&root.join("a/0.jpg/0.jpg")),
            "a file as parent"
        );
        assert_eq!(
            files.unlisted_below(root),
            [root.join("a/1.JPG"), root.join("a/b/2.png")]
        );
        assert_eq!(files.errors, []);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_cycles_end() {
        let folder = tree(&["a/0.jpg"]);
        let root = folder.path();
        std::os::unix::fs::symlink(root, root.join("a/up")).unwrap();
        std::os::unix::fs::symlink(root.join("a/0.jpg"), root.join("a/1.jpg")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("a/2.jpg")).unwrap();
        let listing = unmonitored();
        let mut files = FilesOnDisk::new(&listing);
        assert!(files.find_listed(&root.join("a/1.jpg")));
        assert!(!files.find_listed(&root.join("a/2.jpg")), "a broken link");
        assert_eq!(files.unlisted_below(root), [root.join("a/0.jpg")]);
    }
}
