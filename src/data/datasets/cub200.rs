//! CUB-200-2011 (Wah et al. 2011): `images.txt`, `image_class_labels.txt`, `classes.txt` and
//! `images/`. Classes 1 to 100 are the training split, 101 to 200 the test split.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::collector::Collector;
use super::error::DatasetError;
use super::files_on_disk::{at_or_below, existing_folder};
use super::index::{DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::list_file::{ListFile, number, words};
use super::published::CUB200;
use crate::data::config::PublishedConfig;
use crate::data::list_line::ListLine;
use crate::progress::Task;

const HINT: &str = "data.root must be the folder CUB_200_2011 (or its parent) of CUB-200-2011's archive, \
                    CUB_200_2011.tgz from data.caltech.edu";
/// The last training class.
const LAST_TRAINING: usize = 100;
/// The last class.
const LAST: usize = 200;

/// Reads the index from the lists.
pub(super) fn index(
    config: &PublishedConfig,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let root = existing_folder(&config.root, HINT)?;
    let root = at_or_below(root, listing, |folder| folder.join("images.txt").is_file())
        .unwrap_or_else(|| root.into());
    let read = |name: &str| ListFile::read(&root.join(name), HINT);
    let (images, labels) = (read("images.txt")?, read("image_class_labels.txt")?);
    let classes = read("classes.txt")?;

    let mut collector = Collector::new(listing);
    let names = by_id(&classes, ["class_id", "class_name"], &mut collector);
    let labels = by_id(&labels, ["image_id", "class_id"], &mut collector);
    let images = by_id(&images, ["image_id", "path"], &mut collector);
    let listed: HashSet<usize> = images.iter().map(|image| image.0).collect();
    let labels_by_image: HashMap<usize, &str> = labels.iter().map(|l| (l.0, l.2)).collect();
    let names: HashMap<usize, &str> = names.iter().map(|name| (name.0, name.2)).collect();
    for (id, line, path) in images {
        let class = image_class(id, &labels_by_image, &names);
        if let Some((class, name)) = collector.keep(&line, class) {
            let subset = if class <= LAST_TRAINING {
                Subset::Train
            } else {
                Subset::Test
            };
            collector.add(subset, class, name, image(&root, path, line));
        }
    }
    for (id, line, _) in labels {
        if !listed.contains(&id) {
            let error = ListError::row(format!(
                "image {id} has a class here but is not in images.txt; {RESTORE}"
            ));
            collector
                .errors
                .push(DatasetError::from(error).with_line(&line));
        }
    }
    collector.find_unlisted(&root.join("images"));
    Ok(collector.into_index(Some(CUB200)))
}

const RESTORE: &str = "restore both lists from the archive";

/// Returns the lines of a list of ids, each id once.
fn by_id<'a>(
    list: &'a ListFile,
    columns: [&str; 2],
    collector: &mut Collector<'_>,
) -> Vec<(usize, ListLine, &'a str)> {
    let mut first: HashMap<usize, usize> = HashMap::new();
    let mut rows = Vec::new();
    for (line, text) in list.lines() {
        let parts = words(text, columns).and_then(|[id, value]| {
            let id = number(id, columns[0])?;
            match first.insert(id, line.number) {
                None => Ok((id, value)),
                Some(first) => Err(ListError::row(format!(
                    "{} {id} is also on line {first}; remove one of the two",
                    columns[0]
                ))),
            }
        });
        if let Some((id, value)) = collector.keep(&line, parts) {
            rows.push((id, line, value));
        }
    }
    rows
}

/// Returns the class of an image and its name.
fn image_class<'a>(
    image: usize,
    labels: &HashMap<usize, &str>,
    names: &HashMap<usize, &'a str>,
) -> Result<(usize, &'a str), ListError> {
    let Some(label) = labels.get(&image) else {
        let reason = format!("image {image} has no class in image_class_labels.txt; {RESTORE}");
        return Err(ListError::row(reason));
    };
    let class = number(label, "class_id")?;
    match names.get(&class) {
        Some(name) if (1..=LAST).contains(&class) => Ok((class, name)),
        Some(_) => Err(ListError::row(format!(
            "class {class} of image {image} is not between 1 and {LAST}; {RESTORE}"
        ))),
        None => Err(ListError::row(format!(
            "class {class} of image {image} is not in classes.txt; {RESTORE}"
        ))),
    }
}

fn image(root: &Path, listed: &str, line: ListLine) -> Entry {
    let name = format!("images/{listed}");
    let path = root.join(&name);
    Entry {
        line: Some(line),
        ..Entry::new(name, path)
    }
}

#[cfg(test)]
#[path = "tests/cub200.rs"]
mod tests;
