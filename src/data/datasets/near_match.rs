//! Files of nearly the same name as one that is missing.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::folder_entries::all_entries;
use super::similar_names::{file_difference, file_key};
use crate::escape::path_with_bytes;
use crate::progress::Task;

/// Finds files whose path differs in letter case or Unicode form only. Every folder is read once.
pub(super) struct NearMatches<'a> {
    listing: &'a Task<'a>,
    /// The names in a folder by what is equal for nearly the same names.
    by_key: HashMap<PathBuf, HashMap<String, OsString>>,
    /// The existing folder with nearly the same path, for folders that were asked for.
    near_folders: HashMap<PathBuf, Option<PathBuf>>,
}

impl<'a> NearMatches<'a> {
    /// Makes a record of no folders. Reading folders ends early if `listing` is cancelled.
    pub(super) fn new(listing: &'a Task<'a>) -> Self {
        Self {
            listing,
            by_key: HashMap::new(),
            near_folders: HashMap::new(),
        }
    }

    /// Returns the file whose path differs from that of a missing image in letter case or Unicode form
    /// only, with how it differs and what to do about it.
    pub(super) fn find(&mut self, path: &Path) -> Option<String> {
        self.near_file(path).map(|near| {
            let (listed, found) = first_difference(path, &near);
            format!(
                "{}, {}",
                path_with_bytes(&near),
                file_difference(&listed.to_string_lossy(), found)
            )
        })
    }

    fn near_file(&mut self, path: &Path) -> Option<PathBuf> {
        let folder = self.near_folder(path.parent()?)?;
        let near = folder.join(self.near_name(&folder, path.file_name()?)?);
        near.is_file().then_some(near)
    }

    /// Returns the folder if it exists, or one whose path differs in letter case or Unicode form only.
    fn near_folder(&mut self, folder: &Path) -> Option<PathBuf> {
        if folder.as_os_str().is_empty() {
            return Some(folder.into());
        }
        if let Some(near) = self.near_folders.get(folder) {
            return near.clone();
        }
        let near = match folder.is_dir() {
            true => Some(folder.into()),
            false => folder
                .parent()
                .zip(folder.file_name())
                .and_then(|(parent, name)| {
                    let parent = self.near_folder(parent)?;
                    let near = parent.join(self.near_name(&parent, name)?);
                    near.is_dir().then_some(near)
                }),
        };
        self.near_folders.insert(folder.into(), near.clone());
        near
    }

    /// Returns the name in an existing folder that differs in letter case or Unicode form only.
    fn near_name(&mut self, folder: &Path, name: &OsStr) -> Option<OsString> {
        if !self.by_key.contains_key(folder) {
            let names = all_entries(folder, self.listing).unwrap_or_default();
            let by_key = names.into_keys().map(|name| (file_key(&name), name));
            self.by_key.insert(folder.into(), by_key.collect());
        }
        self.by_key[folder].get(&file_key(name)).cloned()
    }
}

/// Returns the first parts of two paths that differ.
fn first_difference<'a>(listed: &'a Path, found: &'a Path) -> (&'a OsStr, &'a OsStr) {
    let mut parts = listed.iter().zip(found.iter());
    let different = parts.find(|(listed, found)| listed != found);
    different.unwrap_or_default()
}
