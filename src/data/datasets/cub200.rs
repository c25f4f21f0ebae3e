//! CUB-200-2011 (Wah et al. 2011): `images.txt`, `image_class_labels.txt`, `classes.txt` and
//! `images/`; classes 1 to 100 train, 101 to 200 test.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::collector::Collector;
use super::files_on_disk::at_or_below;
use super::index::{DatasetIndex, Entry, Line, Subset};
use super::list_file::{ListFile, number, row, words};
use super::published::CUB200;
use crate::data::DataError;
use crate::data::config::PublishedConfig;
use crate::evaluation::Role;

const HINT: &str = "data.root has to be the folder CUB_200_2011 (or the one above it) as CUB-200-2011's \
                    archive, CUB_200_2011.tgz from data.caltech.edu, unpacks to";
/// The last class that trains.
const LAST_TRAINED: usize = 100;
/// The last class.
const LAST: usize = 200;

/// What its lists say.
pub(super) fn list(config: &PublishedConfig) -> Result<DatasetIndex, DataError> {
    let root = super::published::root(config, HINT)?;
    let root = at_or_below(root, |folder| folder.join("images.txt").is_file())
        .unwrap_or_else(|| root.into());
    let read = |name: &str| ListFile::read(&root.join(name), HINT);
    let (images, labels) = (read("images.txt")?, read("image_class_labels.txt")?);
    let classes = read("classes.txt")?;

    let mut collector = Collector::default();
    let names = by_id(&classes, ["class_id", "class_name"], &mut collector);
    let labels = by_id(&labels, ["image_id", "class_id"], &mut collector);
    let images = by_id(&images, ["image_id", "path"], &mut collector);
    let listed: HashSet<usize> = images.iter().map(|image| image.0).collect();
    let labels_by_image: HashMap<usize, &str> = labels.iter().map(|l| (l.0, l.2)).collect();
    let names: HashMap<usize, &str> = names.iter().map(|name| (name.0, name.2)).collect();
    for (id, line, path) in images {
        let class = class_of(id, &labels_by_image, &names);
        if let Some((class, name)) = collector.keep(&line, class) {
            let subset = if class <= LAST_TRAINED {
                Subset::Train
            } else {
                Subset::Test
            };
            collector.add(subset, class, name, image(&root, path, line));
        }
    }
    for (id, line, _) in labels {
        if !listed.contains(&id) {
            let error = row(format!(
                "image {id} has a class here but is not in images.txt: {RESTORE}"
            ));
            collector.faults.push(line.locate(error));
        }
    }
    collector.find_unlisted(&root.join("images"));
    Ok(collector.into_index(Some(CUB200)))
}

const RESTORE: &str = "restore both lists from the archive";

/// The lines of a list of ids, each id once.
fn by_id<'a>(
    list: &'a ListFile,
    columns: [&str; 2],
    collector: &mut Collector,
) -> Vec<(usize, Line, &'a str)> {
    let mut first: HashMap<usize, usize> = HashMap::new();
    let mut rows = Vec::new();
    for (line, text) in list.lines() {
        let parts = words(text, columns).and_then(|[id, value]| {
            let id = number(id, columns[0])?;
            match first.insert(id, line.number) {
                None => Ok((id, value)),
                Some(first) => Err(row(format!(
                    "{} {id} is on line {first} too: remove one of the two",
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

/// The class of an image, with its name.
fn class_of<'a>(
    image: usize,
    labels: &HashMap<usize, &str>,
    names: &HashMap<usize, &'a str>,
) -> Result<(usize, &'a str), DataError> {
    let Some(label) = labels.get(&image) else {
        let reason = format!("image {image} has no class in image_class_labels.txt: {RESTORE}");
        return Err(row(reason));
    };
    let class = number(label, "class_id")?;
    match names.get(&class) {
        Some(name) if (1..=LAST).contains(&class) => Ok((class, name)),
        Some(_) => Err(row(format!(
            "class {class} of image {image} is not between 1 and {LAST}: {RESTORE}"
        ))),
        None => Err(row(format!(
            "class {class} of image {image} is not in classes.txt: {RESTORE}"
        ))),
    }
}

fn image(root: &Path, listed: &str, line: Line) -> Entry {
    let name = format!("images/{listed}");
    Entry {
        path: root.join(&name),
        name,
        line: Some(line),
        role: Role::Both,
    }
}

#[cfg(test)]
#[path = "tests/cub200.rs"]
mod tests;
