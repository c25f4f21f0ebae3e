//! In-Shop Clothes (Liu et al. 2016, DeepFashion): `list_eval_partition.txt` and `img/`. A test image is
//! either a query or in the gallery.

use std::path::{Path, PathBuf};

use super::collector::Collector;
use super::error::DatasetError;
use super::files_on_disk::{at_or_below, existing_folder};
use super::index::{DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::list_file::{ListFile, number, words};
use super::published::IN_SHOP;
use crate::data::config::PublishedConfig;
use crate::data::list_line::ListLine;
use crate::evaluation::Role;
use crate::progress::Task;

const HINT: &str = "data.root must be the folder In-shop Clothes Retrieval Benchmark (or its parent) of \
                    DeepFashion, with list_eval_partition.txt in it or in its Eval/, and img.zip \
                    unpacked in it or in its Img/";
const LIST: &str = "list_eval_partition.txt";
const COLUMNS: [&str; 3] = ["image_name", "item_id", "evaluation_status"];
/// Folders, below the benchmark's, that may contain the list.
const LIST_FOLDERS: [&str; 3] = ["", "Eval", "eval"];
/// Folders, below the benchmark's, that may contain `img/`.
const IMAGE_FOLDERS: [&str; 3] = ["", "Img", "img"];

/// Reads the index from the list.
pub(super) fn index(
    config: &PublishedConfig,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let root = existing_folder(&config.root, HINT)?;
    let root = at_or_below(root, listing, |folder| list_path(folder).is_some())
        .unwrap_or_else(|| root.into());
    let path = list_path(&root).unwrap_or_else(|| root.join(LIST));
    let list = ListFile::read(&path, HINT)?;
    let images = image_folder(&root);

    let mut collector = Collector::new(listing);
    let (stated, rows) = header(&list)?;
    let mut count = 0;
    for (line, text) in rows {
        count += 1;
        let parts = words(text, COLUMNS).and_then(|[name, item, status]| {
            let (subset, role) = parse_status(status)?;
            Ok::<_, ListError>((name, item, subset, role))
        });
        if let Some((name, item, subset, role)) = collector.keep(&line, parts) {
            collector.add(subset, 0, item, image(&images, name, line, role));
        }
    }
    if count != stated {
        let reason = format!(
            "states {stated} images on its first line but lists {count}; restore it from the archive"
        );
        collector.errors.push(list.invalid(reason).into());
    }
    collector.find_unlisted(&images.join("img"));
    Ok(collector.into_index(Some(IN_SHOP)))
}

fn list_path(folder: &Path) -> Option<PathBuf> {
    let paths = LIST_FOLDERS.map(|inner| folder.join(inner).join(LIST));
    paths.into_iter().find(|path| path.is_file())
}

/// Returns the folder that the list's paths `img/…` are relative to.
fn image_folder(root: &Path) -> PathBuf {
    let has_images = |folder: &PathBuf| {
        let below = |inner: &str| folder.join("img").join(inner).is_dir();
        below("WOMEN") || below("MEN")
    };
    let folders = IMAGE_FOLDERS.map(|inner| root.join(inner));
    folders
        .into_iter()
        .find(has_images)
        .unwrap_or_else(|| root.into())
}

/// Returns the number of images that the list states, and the lines after the header.
fn header(list: &ListFile) -> Result<(usize, impl Iterator<Item = (ListLine, &str)>), ListError> {
    let mut lines = list.lines();
    let count = lines
        .next()
        .and_then(|(_, text)| number(text, "count").ok());
    let header = lines.next().map(|(_, text)| text.split_whitespace());
    match (count, header) {
        (Some(count), Some(header)) if header.clone().eq(COLUMNS) => Ok((count, lines)),
        _ => Err(list.invalid(format!(
            "does not start with a number of images and the header {:?}; restore it from the archive",
            COLUMNS.join(" ")
        ))),
    }
}

fn parse_status(status: &str) -> Result<(Subset, Role), ListError> {
    match status {
        "train" => Ok((Subset::Train, Role::Both)),
        "query" => Ok((Subset::Test, Role::Query)),
        "gallery" => Ok((Subset::Test, Role::Gallery)),
        _ => Err(ListError::row(format!(
            "evaluation_status is {status:?} but must be train, query or gallery; restore the line from \
             the archive"
        ))),
    }
}

fn image(images: &Path, name: &str, line: ListLine, role: Role) -> Entry {
    Entry {
        line: Some(line),
        role,
        ..Entry::new(name, images.join(name))
    }
}

#[cfg(test)]
#[path = "tests/in_shop.rs"]
mod tests;
