//! Images to embed, with or without classes: a folder, a list, or one image.
//!
//! A folder is walked recursively, sorted by name. The class of an image is the path of its folder below
//! the root: `DIR/cat/1.jpg` is of class `cat`, `DIR/test/cat/1.jpg` of `test/cat`. Images directly in the
//! root have no class.
//!
//! Images are known by their suffix, or by their content if the suffix is of no known kind; this also
//! distinguishes an image from a list.
//!
//! A list is a text file with one path per line, without classes, or a CSV file (`.csv`, `.tsv`) with a column
//! `path` and optionally `label`, `split` and a bounding box. Rows keep their order, and may be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::DatasetError;
use super::file_names::name_below;
use super::files_on_disk::FilesOnDisk;
use super::image_detection::{Detection, detect, refuse_raw_image};
use super::image_files::{check_files, file_images};
use super::image_walk::{Contents, Found, images_below};
use super::index::Entry;
use super::list_file::ListFile;
use super::list_values::is_same_split;
use super::listed_path::listed_path;
use super::unlabelled_csv::image_rows;
use crate::data::config::{BrokenImages, LoadingConfig};
use crate::data::parallel::worker_count;
use crate::data::split::Split;
use crate::embedding_file::NO_CLASS;
use crate::progress::{Monitor, Task, Unit};
use crate::setting::SettingError;

const HINT: &str = "give a folder of images, an image, a text file with one path per line, or a CSV \
                    file with a column path";

/// The name of the split of images to embed.
const NAME: &str = "images";

/// Images to embed.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// The folder, list or image that was opened.
    pub path: PathBuf,
    /// The images. The split's labels are unused.
    pub split: Split,
    /// The class of each image, an index into `classes`, or [`NO_CLASS`].
    pub labels: Vec<i64>,
    /// The names of the classes, sorted.
    pub classes: Vec<String>,
    /// The errors of images that were left out, if broken ones are skipped.
    pub skipped: Vec<DatasetError>,
}

/// Selects images of a folder or list.
#[derive(Debug, Clone, Default)]
pub struct ImageSelection {
    /// The folder that a list's paths are relative to. By default the folder of the list.
    pub root: Option<PathBuf>,
    /// If given, only the rows with this value in the column `split`. `train`, `validation` and `test` are compared
    /// as in a manifest: in any letter case, and `val` is `validation`.
    pub split: Option<String>,
}

impl ImageSet {
    /// Opens the images at `path` and checks each without decoding it. A broken image is an error or is
    /// left out, as `loading` says.
    ///
    /// # Errors
    /// If the folder or list does not exist, names no image, or names an image that is missing or
    /// broken; [`DatasetError::Cancelled`].
    pub fn open(
        path: &Path,
        selection: &ImageSelection,
        loading: &LoadingConfig,
        monitor: Monitor<'_>,
    ) -> Result<Self, DatasetError> {
        let listing = monitor.task("listing images", None, Unit::Images);
        let contents = contents(path, selection, &listing);
        // If it was cancelled, errors may result from images that were not found.
        listing.check()?;
        listing.finish();
        let Contents { images, mut errors } = contents?;
        let skip = loading.broken_images == BrokenImages::Skip;
        if let (false, Some(first)) = (skip, errors.first()) {
            return Err(first.clone());
        }
        let files: Vec<&Entry> = images.iter().map(|(image, _)| image).collect();
        let checks = check_files(&files, worker_count(loading.workers), monitor)?;
        let mut readable = Vec::with_capacity(images.len());
        for (image, check) in images.into_iter().zip(checks) {
            match check {
                Ok(()) => readable.push(image),
                Err(error) if skip => errors.push(error),
                Err(error) => return Err(error),
            }
        }
        if readable.is_empty() {
            return Err(DatasetError::NoImages {
                path: path.into(),
                skipped: errors.len(),
            });
        }
        Ok(Self::new(path, readable, errors))
    }

    fn new(path: &Path, images: Vec<Found>, skipped: Vec<DatasetError>) -> Self {
        let classes: BTreeSet<String> = images.iter().filter_map(|(_, c)| c.clone()).collect();
        let classes: Vec<String> = classes.into_iter().collect();
        let numbers: BTreeMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
        let label = |class: &Option<String>| class.as_ref().map(|name| numbers[name.as_str()]);
        let labels = images
            .iter()
            .map(|(_, class)| label(class).unwrap_or(NO_CLASS))
            .collect();
        let files: Vec<Entry> = images.into_iter().map(|(image, _)| image).collect();
        // A split needs a class for each image, but these may have none.
        let split = Split::new(
            NAME,
            vec![NAME.into()],
            vec![0; files.len()],
            file_images(files),
        );
        Self {
            path: path.into(),
            split,
            labels,
            classes,
            skipped,
        }
    }
}

fn contents(
    path: &Path,
    selection: &ImageSelection,
    listing: &Task<'_>,
) -> Result<Contents, DatasetError> {
    let is_table = path.extension().is_some_and(|extension| {
        let tables = ["csv", "tsv"];
        tables
            .iter()
            .any(|table| extension.eq_ignore_ascii_case(table))
    });
    if let (false, Some(split)) = (is_table, &selection.split) {
        let reason = "only a CSV list with a column split has splits; remove it";
        return Err(SettingError::value("--split", split.as_str(), reason).into());
    }
    if path.is_dir() {
        return Ok(images_below(path, listing));
    }
    // A list may be a pipe, of which nothing must be read twice.
    if !is_table && path.is_file() {
        match detect(path) {
            Detection::Image => {
                let name = name_below(path.parent().unwrap_or(path), path)?;
                return Ok(Contents {
                    images: vec![(Entry::new(name, path), None)],
                    ..Contents::default()
                });
            }
            Detection::Refused(error) => return Err(error.into()),
            Detection::NoImage => {}
        }
    }
    let list = ListFile::read(path, HINT)?;
    let root = match &selection.root {
        Some(root) => root.clone(),
        None => path.parent().unwrap_or(Path::new("")).into(),
    };
    match is_table {
        true => manifest_contents(&list, path, &root, selection.split.as_deref(), listing),
        false => Ok(text_contents(&list, &root, listing)),
    }
}

/// Returns the images of a text file with one path per line.
fn text_contents(list: &ListFile, root: &Path, listing: &Task<'_>) -> Contents {
    let (mut contents, mut files) = (Contents::default(), FilesOnDisk::new(listing));
    for (line, text) in list.lines() {
        if listing.advance(1).is_err() {
            break;
        }
        match listed_path(root, text) {
            Ok(file) => {
                let image = Entry {
                    line: Some(line),
                    ..Entry::new(file.name, file.path)
                };
                contents.add(image, None, &mut files);
            }
            Err(error) => contents
                .errors
                .push(DatasetError::from(error).with_line(&line)),
        }
    }
    contents
}

/// Returns the images of a CSV file, of one split if it is given.
fn manifest_contents(
    list: &ListFile,
    path: &Path,
    root: &Path,
    split: Option<&str>,
    listing: &Task<'_>,
) -> Result<Contents, DatasetError> {
    let (mut rows, errors) = image_rows(list)?;
    if let Some(split) = split {
        let words: BTreeSet<String> = rows.iter().filter_map(|row| row.split.clone()).collect();
        if !words.iter().any(|word| is_same_split(word, split)) {
            let words: Vec<String> = words.into_iter().collect();
            let reason = match words.is_empty() {
                true => format!("{} has no column split; remove it", path.display()),
                false => format!("{} has the splits {}", path.display(), words.join(", ")),
            };
            return Err(SettingError::value("--split", split, reason).into());
        }
        let is_chosen = |word: &String| is_same_split(word, split);
        rows.retain(|row| row.split.as_ref().is_some_and(is_chosen));
    }
    let mut files = FilesOnDisk::new(listing);
    let mut contents = Contents {
        errors,
        ..Contents::default()
    };
    for row in rows {
        if listing.advance(1).is_err() {
            break;
        }
        match listed_path(root, &row.path) {
            Ok(file) => {
                let image = Entry {
                    line: Some(row.line),
                    ..Entry::new(file.name, file.path).with_bounding_box(row.bounding_box)
                };
                contents.add(image, row.label, &mut files);
            }
            Err(error) => contents
                .errors
                .push(DatasetError::from(error).with_line(&row.line)),
        }
    }
    Ok(contents)
}

impl Contents {
    /// Adds a listed image, or its error.
    fn add(&mut self, image: Entry, class: Option<String>, files: &mut FilesOnDisk<'_>) {
        let path = &image.path;
        let error = match refuse_raw_image(path) {
            Err(error) => DatasetError::from(error),
            Ok(()) if files.find_listed(path) => return self.images.push((image, class)),
            Ok(()) => files.missing(path).into(),
        };
        self.errors.push(image.locate(error));
    }
}

#[cfg(test)]
#[path = "tests/image_set.rs"]
mod tests;
