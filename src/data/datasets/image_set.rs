//! Images to embed, with or without classes: a folder, a list, or one image.
//!
//! A folder is walked to the bottom, in the order of its names. An image's class is the folder it lies
//! in, by its path below the root (`DIR/cat/1.jpg` is of class `cat`, `DIR/test/cat/1.jpg` of
//! `test/cat`); those directly in the root have none. A list is a text file with one path a line, in
//! which no image has a class, or a CSV file with a column `path` and if wanted `label` and `split`.
//! Rows come as listed, also twice.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::files_on_disk::{
    EntryKind, FilesOnDisk, entries, is_image, refuse_other_images, unreadable, unsupported,
};
use super::folder::name_below;
use super::image_files::{check_files, images_of};
use super::index::Entry;
use super::list_file::ListFile;
use super::manifest;
use crate::cancellation::CancellationToken;
use crate::data::config::{BrokenImages, LoadingConfig};
use crate::data::parallel::worker_count;
use crate::data::{DataError, Split};
use crate::evaluation::Role;

const HINT: &str = "images are a folder of them, a text file with one path a line, or a CSV file with \
                    a column path";

/// The label of images without a class.
pub const NO_CLASS: i64 = -1;

/// What the split of images to embed is called.
const NAME: &str = "images";

/// Images to embed.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// The folder, list or image that they came from.
    pub path: PathBuf,
    /// The images; the split's own labels are of no meaning.
    pub split: Split,
    /// The class of each image, an index into `classes`, or [`NO_CLASS`].
    pub labels: Vec<i64>,
    /// The classes' names, sorted.
    pub classes: Vec<String>,
    /// Why images were left out, where broken ones are skipped.
    pub left_out: Vec<DataError>,
}

/// Which images of a folder or list.
#[derive(Debug, Clone, Default)]
pub struct ImageSelection {
    /// The folder that a list's paths are relative to; by default that of the list.
    pub root: Option<PathBuf>,
    /// Only the rows with this word in the column `split`.
    pub split: Option<String>,
}

/// An image with the name of its class.
type Found = (Entry, Option<String>);

/// What a folder or list holds, and what is wrong with it.
#[derive(Default)]
struct Contents {
    images: Vec<Found>,
    faults: Vec<DataError>,
}

impl ImageSet {
    /// The images at `path`, each looked at as far as that shows without decoding whether it could be
    /// decoded. Those that could not are an error, or left out, as `loading` says.
    ///
    /// # Errors
    /// When there is no such folder or list, it names no image, or an image that is missing or broken;
    /// [`DataError::Cancelled`].
    pub fn open(
        path: &Path,
        selection: &ImageSelection,
        loading: &LoadingConfig,
        cancellation: &CancellationToken,
    ) -> Result<Self, DataError> {
        let Contents { images, mut faults } = contents(path, selection)?;
        let skip = loading.broken_images == BrokenImages::Skip;
        if let (false, Some(first)) = (skip, faults.first()) {
            return Err(first.clone());
        }
        let files: Vec<&Entry> = images.iter().map(|(image, _)| image).collect();
        let looks = check_files(&files, worker_count(loading.workers), cancellation)?;
        let mut sound = Vec::with_capacity(images.len());
        for (image, look) in images.into_iter().zip(looks) {
            match look {
                Ok(()) => sound.push(image),
                Err(error) if skip => faults.push(error),
                Err(error) => return Err(error),
            }
        }
        if sound.is_empty() {
            return Err(DataError::NoImages {
                path: path.into(),
                left_out: faults.len(),
            });
        }
        Ok(Self::of(path, sound, faults))
    }

    fn of(path: &Path, images: Vec<Found>, left_out: Vec<DataError>) -> Self {
        let classes: BTreeSet<String> = images.iter().filter_map(|(_, c)| c.clone()).collect();
        let classes: Vec<String> = classes.into_iter().collect();
        let numbers: BTreeMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
        let label = |class: &Option<String>| class.as_ref().map(|name| numbers[name.as_str()]);
        let labels = images
            .iter()
            .map(|(_, class)| label(class).unwrap_or(NO_CLASS))
            .collect();
        let files: Vec<Entry> = images.into_iter().map(|(image, _)| image).collect();
        // Split wants a class for each image, which these need not have.
        let split = Split::new(
            NAME,
            vec![NAME.into()],
            vec![0; files.len()],
            images_of(files),
        );
        Self {
            path: path.into(),
            split,
            labels,
            classes,
            left_out,
        }
    }
}

fn contents(path: &Path, selection: &ImageSelection) -> Result<Contents, DataError> {
    let csv = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if let (false, Some(split)) = (csv, &selection.split) {
        let hint = "only a CSV list with a column split has splits; leave it out";
        return Err(DataError::setting("--split", split, hint));
    }
    if path.is_dir() {
        let mut walk = Walk::new(path);
        walk.visit(path);
        return Ok(walk.contents);
    }
    if is_image(path) {
        let image = listed(name_below(path.parent().unwrap_or(path), path), path.into());
        return Ok(Contents {
            images: vec![(image, None)],
            ..Contents::default()
        });
    }
    let list = ListFile::read(path, HINT)?;
    let root = match &selection.root {
        Some(root) => root.clone(),
        None => path.parent().unwrap_or(Path::new("")).into(),
    };
    match csv {
        true => of_manifest(&list, path, &root, selection.split.as_deref()),
        false => Ok(of_text(&list, &root)),
    }
}

fn listed(name: String, path: PathBuf) -> Entry {
    Entry {
        name,
        path,
        line: None,
        role: Role::Both,
    }
}

/// A folder with all that lies below it.
struct Walk<'a> {
    root: &'a Path,
    /// The folders met, by their one true path: a link to a folder above would never end.
    seen: HashSet<PathBuf>,
    contents: Contents,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            seen: HashSet::new(),
            contents: Contents::default(),
        }
    }

    fn visit(&mut self, folder: &Path) {
        let own = folder.canonicalize().unwrap_or_else(|_| folder.into());
        if !self.seen.insert(own) {
            return;
        }
        let found = match entries(folder) {
            Ok(found) => found,
            Err(error) => return self.contents.faults.push(unreadable(folder, &error)),
        };
        let class = Some(name_below(self.root, folder)).filter(|class| !class.is_empty());
        for (name, entry) in found {
            let path = folder.join(name);
            let faults = &mut self.contents.faults;
            match entry {
                EntryKind::Folder => self.visit(&path),
                EntryKind::File if is_image(&path) => {
                    let image = listed(name_below(self.root, &path), path);
                    self.contents.images.push((image, class.clone()));
                }
                EntryKind::File => faults.extend(refuse_other_images(&path).err()),
                EntryKind::Other if is_image(&path) => faults.push(DataError::NoFile { path }),
                EntryKind::Other => {}
            }
        }
    }
}

/// The images of a text file, one path a line.
fn of_text(list: &ListFile, root: &Path) -> Contents {
    let (mut contents, mut files) = (Contents::default(), FilesOnDisk::default());
    for (line, text) in list.lines() {
        let image = Entry {
            line: Some(line),
            ..listed(text.into(), root.join(text))
        };
        contents.add(image, None, &mut files);
    }
    contents
}

/// The images of a CSV file, of one split if it is given.
fn of_manifest(
    list: &ListFile,
    path: &Path,
    root: &Path,
    split: Option<&str>,
) -> Result<Contents, DataError> {
    let (mut rows, faults) = manifest::plain_rows(list)?;
    if let Some(split) = split {
        let words: BTreeSet<String> = rows.iter().filter_map(|row| row.split.clone()).collect();
        if !words.contains(split) {
            let words: Vec<String> = words.into_iter().collect();
            let hint = match words.is_empty() {
                true => format!("{} has no column split; leave it out", path.display()),
                false => format!("{} has the splits {}", path.display(), words.join(", ")),
            };
            return Err(DataError::setting("--split", split, hint));
        }
        rows.retain(|row| row.split.as_deref() == Some(split));
    }
    let mut files = FilesOnDisk::default();
    let mut contents = Contents {
        faults,
        ..Contents::default()
    };
    for row in rows {
        let path = root.join(&row.path);
        let image = Entry {
            line: Some(row.line),
            ..listed(row.path, path)
        };
        contents.add(image, row.label, &mut files);
    }
    Ok(contents)
}

impl Contents {
    /// Adds a listed image, or what is wrong with it.
    fn add(&mut self, image: Entry, class: Option<String>, files: &mut FilesOnDisk) {
        let path = &image.path;
        let fault = if !is_image(path) {
            unsupported(path)
        } else if !files.name(path) {
            DataError::ImageMissing { path: path.clone() }
        } else {
            return self.images.push((image, class));
        };
        self.faults.push(image.locate(fault));
    }
}

#[cfg(test)]
#[path = "tests/image_set.rs"]
mod tests;
