//! The images in a folder and below it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::error::DatasetError;
use super::file_names::name_below;
use super::folder_entries::{EntryKind, entries};
use super::folder_error::FolderError;
use super::image_detection::{Detection, detect, may_be_image};
use super::index::Entry;
use super::list_error::ListError;
use crate::progress::Task;

/// An image with the name of its class.
pub(super) type Found = (Entry, Option<String>);

/// The images of a folder or list, and its errors.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) images: Vec<Found>,
    pub(super) errors: Vec<DatasetError>,
}

/// Returns the images in a folder and below, sorted by path. Their class is the path of their folder.
pub(super) fn images_below(root: &Path, listing: &Task<'_>) -> Contents {
    let mut walk = Walk::new(root, listing);
    walk.visit(root);
    walk.contents
}

/// A recursive walk of a folder.
struct Walk<'a> {
    root: &'a Path,
    /// The canonical paths of visited folders, since a link to a parent folder would recurse without end.
    seen: HashSet<PathBuf>,
    contents: Contents,
    listing: &'a Task<'a>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path, listing: &'a Task<'a>) -> Self {
        Self {
            root,
            seen: HashSet::new(),
            contents: Contents::default(),
            listing,
        }
    }

    fn visit(&mut self, folder: &Path) {
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.into());
        if self.listing.check().is_err() || !self.seen.insert(canonical) {
            return;
        }
        let found = match entries(folder, self.listing) {
            Ok(found) => found,
            Err(error) => {
                return self
                    .contents
                    .errors
                    .push(ListError::unreadable(folder, &error).into());
            }
        };
        let class = name_below(self.root, folder);
        for (name, entry) in found {
            let path = folder.join(name);
            let errors = &mut self.contents.errors;
            match entry {
                EntryKind::Folder => self.visit(&path),
                EntryKind::File => match detect(&path) {
                    Detection::Image => {
                        self.add(path, &class);
                        if self.listing.advance(1).is_err() {
                            return;
                        }
                    }
                    Detection::Refused(error) => errors.push(error.into()),
                    Detection::NoImage => {}
                },
                EntryKind::Other if may_be_image(&path) => {
                    errors.push(FolderError::NotAFile { path }.into())
                }
                EntryKind::Other => {}
            }
        }
    }

    /// Adds an image of a class; an empty name is no class. Names that are not UTF-8 are an error, each
    /// folder once.
    fn add(&mut self, path: PathBuf, class: &Result<String, FolderError>) {
        let class = class.as_ref().map_err(FolderError::clone);
        let name = class.and_then(|class| Ok((class, name_below(self.root, &path)?)));
        match name {
            Ok((class, name)) => {
                let class = Some(class.clone()).filter(|class| !class.is_empty());
                self.contents.images.push((Entry::new(name, path), class));
            }
            Err(error) => {
                let error = DatasetError::from(error);
                if self.contents.errors.last() != Some(&error) {
                    self.contents.errors.push(error);
                }
            }
        }
    }
}
