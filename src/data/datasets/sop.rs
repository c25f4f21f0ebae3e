//! Stanford Online Products (Oh Song et al. 2016): `Ebay_train.txt`, `Ebay_test.txt` and the twelve
//! folders `bicycle_final/` to `toaster_final/`. A class is a product.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use super::collector::Collector;
use super::error::DatasetError;
use super::files_on_disk::{at_or_below, existing_folder};
use super::index::{DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::list_file::{ListFile, number, words};
use super::published::SOP;
use crate::data::config::PublishedConfig;
use crate::data::list_line::ListLine;
use crate::progress::Task;

const HINT: &str = "data.root must be the folder Stanford_Online_Products (or its parent) of its \
                    archive, Stanford_Online_Products.zip from cvgl.stanford.edu";
const COLUMNS: [&str; 4] = ["image_id", "class_id", "super_class_id", "path"];
/// The lists, each with its classes.
const LISTS: [(&str, Subset, RangeInclusive<usize>); 2] = [
    ("Ebay_train.txt", Subset::Train, 1..=11_318),
    ("Ebay_test.txt", Subset::Test, 11_319..=22_634),
];

/// Reads the index from the lists.
pub(super) fn index(
    config: &PublishedConfig,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let root = existing_folder(&config.root, HINT)?;
    let root = at_or_below(root, listing, |folder| folder.join(LISTS[0].0).is_file())
        .unwrap_or_else(|| root.into());
    let mut collector = Collector::new(listing);
    let mut folders = BTreeSet::new();
    let lists = LISTS.map(|(name, ..)| ListFile::read(&root.join(name), HINT));
    for ((_, subset, classes), list) in LISTS.into_iter().zip(lists) {
        let list = list?;
        for (line, text) in rows(&list)? {
            let parts = words(text, COLUMNS)
                .and_then(|[_, class, _, path]| Ok((parse_class(class, &classes)?, path)));
            if let Some((class, path)) = collector.keep(&line, parts) {
                folders.extend(path.split_once('/').map(|(folder, _)| folder.to_string()));
                collector.add(subset, class, &class.to_string(), image(&root, path, line));
            }
        }
    }
    for folder in folders {
        collector.find_unlisted(&root.join(folder));
    }
    Ok(collector.into_index(Some(SOP)))
}

/// Returns the lines after the header.
fn rows(list: &ListFile) -> Result<impl Iterator<Item = (ListLine, &str)>, ListError> {
    let mut lines = list.lines();
    match lines.next() {
        Some((_, header)) if header.split_whitespace().eq(COLUMNS) => Ok(lines),
        _ => Err(list.invalid(format!(
            "does not start with the header {:?}; restore it from the archive",
            COLUMNS.join(" ")
        ))),
    }
}

fn parse_class(text: &str, classes: &RangeInclusive<usize>) -> Result<usize, ListError> {
    let class = number(text, COLUMNS[1])?;
    match classes.contains(&class) {
        true => Ok(class),
        false => Err(ListError::row(format!(
            "class_id {class} is not in this list's range {} to {}; restore the line from the archive",
            classes.start(),
            classes.end()
        ))),
    }
}

fn image(root: &Path, name: &str, line: ListLine) -> Entry {
    Entry {
        line: Some(line),
        ..Entry::new(name, root.join(name))
    }
}

#[cfg(test)]
#[path = "tests/sop.rs"]
mod tests;
