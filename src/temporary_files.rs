//! The temporary files of this process, which an immediate exit removes.
//!
//! `std::process::exit` runs no destructors, so files of `tempfile` would stay.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The files and folders that exist.
static EXISTING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Attempts to remove a folder while other threads write files into it.
const ATTEMPTS: usize = 5;

/// A temporary file or folder. Dropping this forgets it, and removes nothing.
#[derive(Debug)]
pub(crate) struct Registered(PathBuf);

/// Registers a temporary file or folder until the result is dropped.
pub(crate) fn register(path: &Path) -> Registered {
    // The working directory may change.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    existing().insert(path.clone());
    Registered(path)
}

impl Drop for Registered {
    fn drop(&mut self) {
        existing().remove(&self.0);
    }
}

/// Removes all registered files and folders. Call it only before the process exits.
pub(crate) fn remove_all() {
    remove(&existing());
}

fn remove(paths: &BTreeSet<PathBuf>) {
    for path in paths {
        for _ in 0..ATTEMPTS {
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
            if removed.is_ok() || !path.exists() {
                break;
            }
        }
    }
}

fn existing() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    EXISTING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_registered_until_they_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let registered = register(&file);
        assert!(existing().contains(&file));
        drop(registered);
        assert!(!existing().contains(&file));
    }

    #[test]
    fn files_and_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("file"), folder.path().join("inner"));
        fs::write(&file, "half").unwrap();
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("0.jpg"), "half").unwrap();
        let missing = folder.path().join("missing");
        // Not `remove_all`, which would remove the files of other tests.
        remove(&[file, inner, missing].into());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
