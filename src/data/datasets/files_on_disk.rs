//! Which files there are: every folder is read once, so that a hundred thousand listed images are
//! looked up in a moment, also over a network.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::data::DataError;

/// Extensions of the images that are read, in any case.
const SUPPORTED: [&str; 3] = ["jpg", "jpeg", "png"];
/// Extensions of image files that are refused rather than passed over.
const UNSUPPORTED: [&str; 19] = [
    "avif", "bmp", "dng", "exr", "gif", "heic", "heif", "jfif", "jp2", "jxl", "pbm", "pgm", "pnm",
    "ppm", "svg", "tga", "tif", "tiff", "webp",
];
/// What macOS' archiver adds beside a folder's own files.
const RESOURCE_FORKS: &str = "__MACOSX";

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    extension.to_ascii_lowercase()
}

/// Whether the name is that of a JPEG or PNG file.
pub(super) fn is_image(path: &Path) -> bool {
    SUPPORTED.contains(&extension(path).as_str())
}

/// Refuses the name of an image of another kind than JPEG and PNG.
pub(super) fn refuse_other_images(path: &Path) -> Result<(), DataError> {
    let extension = extension(path);
    match UNSUPPORTED.contains(&extension.as_str()) {
        true => Err(unsupported(path)),
        false => Ok(()),
    }
}

/// The error for a file that is no JPEG or PNG by its name.
pub(super) fn unsupported(path: &Path) -> DataError {
    let found = match extension(path).as_str() {
        "" => "a file without extension".to_string(),
        extension => format!("a .{extension} image"),
    };
    DataError::UnsupportedImage {
        path: path.into(),
        found,
    }
}

/// An entry of a folder; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// Neither: a link that leads nowhere, a pipe, a device.
    Other,
}

/// The entries of a folder that are not hidden, sorted by name.
pub(super) fn entries(folder: &Path) -> io::Result<BTreeMap<OsString, EntryKind>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
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

/// The error for a file or folder that the operating system does not let us read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> DataError {
    DataError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    }
}

/// The folder below or at `root` for which `holds` is true: `root` itself, or a folder in it.
pub(super) fn at_or_below(root: &Path, holds: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    if holds(root) {
        return Some(root.into());
    }
    let below = entries(root).ok()?;
    below
        .into_iter()
        .filter(|(_, entry)| *entry == EntryKind::Folder)
        .map(|(name, _)| root.join(name))
        .find(|folder| holds(folder))
}

/// The folders read so far, and which of their files a list has named.
#[derive(Debug, Default)]
pub(super) struct FilesOnDisk {
    folders: HashMap<PathBuf, BTreeMap<OsString, EntryKind>>,
    named: HashMap<PathBuf, HashSet<OsString>>,
    /// Folders that could not be read.
    pub(super) faults: Vec<DataError>,
}

impl FilesOnDisk {
    /// Whether the file is there, spelt just so; notes that a list has named it.
    pub(super) fn name(&mut self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        if !self.folders.contains_key(folder) {
            self.read(folder);
        }
        let there = self.has_file(folder, name);
        if there {
            match self.named.get_mut(folder) {
                Some(named) => named.insert(name.into()),
                None => {
                    let named = HashSet::from([name.into()]);
                    self.named.insert(folder.into(), named).is_none()
                }
            };
        }
        there
    }

    /// The image files below `folder` that no list has named, sorted by path.
    pub(super) fn unnamed_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut unnamed = Vec::new();
        self.visit(folder, &mut HashSet::new(), &mut unnamed);
        unnamed
    }

    fn visit(&mut self, folder: &Path, seen: &mut HashSet<PathBuf>, unnamed: &mut Vec<PathBuf>) {
        // A link to a folder above would never end.
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.into())) {
            return;
        }
        if !self.folders.contains_key(folder) {
            self.read(folder);
        }
        for (name, entry) in self.folders[folder].clone() {
            let path = folder.join(&name);
            if entry == EntryKind::Folder {
                self.visit(&path, seen, unnamed);
            } else if entry == EntryKind::File
                && is_image(&path)
                && !self.named.get(folder).is_some_and(|n| n.contains(&name))
            {
                unnamed.push(path);
            }
        }
    }

    fn has_file(&self, folder: &Path, name: &OsStr) -> bool {
        self.folders[folder].get(name) == Some(&EntryKind::File)
    }

    /// Reads a folder; one that is not there is empty.
    fn read(&mut self, folder: &Path) {
        let here = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let found = entries(here).unwrap_or_else(|error| {
            use io::ErrorKind::{NotADirectory, NotFound};
            if !matches!(error.kind(), NotFound | NotADirectory) {
                self.faults.push(unreadable(folder, &error));
            }
            BTreeMap::new()
        });
        self.folders.insert(folder.into(), found);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

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
    fn files_are_found_as_spelt_and_the_unnamed_are_left() {
        let folder = tree(&[
            "a/0.jpg",
            "a/1.JPG",
            "a/b/2.png",
            "a/._0.jpg",
            "a/x.txt",
            "__MACOSX/0.jpg",
        ]);
        let (root, mut files) = (folder.path(), FilesOnDisk::default());
        assert!(files.name(&root.join("a/0.jpg")));
        assert!(!files.name(&root.join("a/1.jpg")), "another case");
        assert!(!files.name(&root.join("a/b")), "a folder");
        assert!(!files.name(&root.join("c/0.jpg")), "no such folder");
        assert!(!files.name(&root.join("a/0.jpg/0.jpg")), "a file above");
        assert_eq!(
            files.unnamed_below(root),
            [root.join("a/1.JPG"), root.join("a/b/2.png")]
        );
        assert_eq!(files.faults, []);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_end() {
        let folder = tree(&["a/0.jpg"]);
        let root = folder.path();
        std::os::unix::fs::symlink(root, root.join("a/up")).unwrap();
        std::os::unix::fs::symlink(root.join("a/0.jpg"), root.join("a/1.jpg")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("a/2.jpg")).unwrap();
        let mut files = FilesOnDisk::default();
        assert!(files.name(&root.join("a/1.jpg")));
        assert!(!files.name(&root.join("a/2.jpg")), "a link to nothing");
        assert_eq!(files.unnamed_below(root), [root.join("a/0.jpg")]);
    }
}
