//! A CSV file that lists the images of a dataset: columns `path` and `label`, and optionally `split`
//! (`train` or `test`), `query` and `gallery` (`true` or `false`).
//!
//! Without `split`, the classes are divided as those of a folder. Values other than `train` and `test`
//! are an error, including `val`: the configuration draws a validation set from the training classes, and
//! using the images for training or test would silently change both.
//!
//! `query` and `gallery` must occur together. They are read for test images only. Images that are not in
//! the manifest are ignored.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::class_split::divide;
use super::collector::Collector;
use super::csv_list::{check_count, empty, find_column, missing_column, read_rows};
use super::error::DatasetError;
use super::files_on_disk::existing_folder;
use super::index::{DatasetIndex, Entry, Subset};
use super::list_error::ListError;
use super::list_file::{ListFile, check_length};
use crate::data::config::ManifestConfig;
use crate::data::list_line::ListLine;
use crate::evaluation::Role;
use crate::progress::Task;
use crate::shorten::shorten;

const HINT: &str = "data.root must be the CSV file, or the folder that contains it as manifest.csv";
/// The name of the manifest in a folder.
const NAME: &str = "manifest.csv";

/// Reads the index of a manifest. `split_seed` draws the training classes if there is no column `split`.
pub(super) fn index(
    config: &ManifestConfig,
    split_seed: Option<u64>,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let path = match config.root.is_dir() {
        true => config.root.join(NAME),
        false => config.root.clone(),
    };
    let list = ListFile::read(&path, HINT)?;
    let images = match &config.images {
        Some(images) => images.clone(),
        None => path.parent().unwrap_or(Path::new("")).into(),
    };
    if !images.as_os_str().is_empty() {
        let hint = "this is data.images, the folder that the manifest's paths are relative to";
        existing_folder(&images, hint)?;
    }
    let mut collector = Collector::new(listing);
    let rows = rows(&list, &mut collector)?;
    let subsets = subsets(&rows, &path, config, split_seed).unwrap_or_else(|error| {
        collector.errors.push(error);
        // `data check` examines the images of all classes although they cannot be divided.
        let labels = rows.iter().map(|row| row.label.clone());
        labels.map(|label| (label, Subset::Train)).collect()
    });
    for row in rows {
        add(row, &images, &subsets, &mut collector);
    }
    Ok(collector.into_index(None))
}

/// Reads the rows of a manifest.
pub(super) fn rows(
    list: &ListFile,
    collector: &mut Collector<'_>,
) -> Result<Vec<Row>, DatasetError> {
    let columns_of = |header: &StringRecord| Columns::from_header(header, list);
    read_rows(list, columns_of, |columns, record, line| {
        collector.keep(&line, columns.row(record, &line))
    })
}

/// A row of a manifest.
pub(super) struct Row {
    line: ListLine,
    path: String,
    label: String,
    /// `None` if the manifest has no column `split`.
    subset: Option<Subset>,
    /// Unused for training images.
    role: Result<Role, ListError>,
}

/// The positions of the columns.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    roles: Option<(usize, usize)>,
    count: usize,
}

impl Columns {
    fn from_header(header: &StringRecord, list: &ListFile) -> Result<Self, ListError> {
        let find = |name: &str| find_column(header, name);
        let required = |name: &str| {
            find(name).ok_or_else(|| list.invalid(missing_column(name, "path and label", header)))
        };
        let roles = match (find("query"), find("gallery")) {
            (None, None) => None,
            (Some(_), None) => return Err(list.invalid(missing_role("query", "gallery"))),
            (None, Some(_)) => return Err(list.invalid(missing_role("gallery", "query"))),
            (Some(query), Some(gallery)) => Some((query, gallery)),
        };
        Ok(Self {
            path: required("path")?,
            label: required("label")?,
            split: find("split"),
            roles,
            count: header.len(),
        })
    }

    fn row(&self, record: &StringRecord, line: &ListLine) -> Result<Row, DatasetError> {
        check_count(record, self.count)?;
        let [path, label] = [(self.path, "path"), (self.label, "label")].map(|(column, name)| {
            match record[column].trim() {
                "" => Err(empty(name)),
                value => check_length(value, name).map(|()| value.to_string()),
            }
        });
        let subset = self
            .split
            .map(|column| parse_subset(record[column].trim()))
            .transpose()?;
        Ok(Row {
            line: line.clone(),
            path: path?,
            label: label?,
            subset,
            role: match self.roles {
                None => Ok(Role::Both),
                Some((query, gallery)) => parse_role(record[query].trim(), record[gallery].trim()),
            },
        })
    }
}

fn missing_role(found: &str, missing: &str) -> String {
    format!(
        "has a column {found} and no column {missing}; add it, or remove {found} if all images are both"
    )
}

fn parse_subset(word: &str) -> Result<Subset, ListError> {
    match word.to_ascii_lowercase().as_str() {
        "train" => Ok(Subset::Train),
        "test" => Ok(Subset::Test),
        "val" | "valid" | "validation" => Err(ListError::row(format!(
            "the split is {word:?}, which is not read; write train, of which a validation set can be \
             held out while training, or test, or remove the line"
        ))),
        "" => Err(ListError::row(
            "the split is empty; write train or test, or remove the line",
        )),
        _ => Err(ListError::row(format!(
            "the split is {:?} but must be train or test",
            shorten(word)
        ))),
    }
}

fn parse_role(query: &str, gallery: &str) -> Result<Role, ListError> {
    match (parse_bool("query", query)?, parse_bool("gallery", gallery)?) {
        (true, true) => Ok(Role::Both),
        (true, false) => Ok(Role::Query),
        (false, true) => Ok(Role::Gallery),
        (false, false) => Err(ListError::row(
            "the test image is neither query nor gallery, so it is never used; set one of them to true, \
             or remove the line",
        )),
    }
}

fn parse_bool(column: &str, word: &str) -> Result<bool, ListError> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err(ListError::row(format!(
            "{column} is {:?} but must be true or false",
            shorten(word)
        ))),
    }
}

/// Divides the labels into subsets if the manifest has no column `split`. Otherwise returns an empty map.
fn subsets(
    rows: &[Row],
    path: &Path,
    config: &ManifestConfig,
    split_seed: Option<u64>,
) -> Result<HashMap<String, Subset>, DatasetError> {
    if rows.iter().any(|row| row.subset.is_some()) {
        return Ok(HashMap::new());
    }
    let labels: BTreeSet<String> = rows.iter().map(|row| row.label.clone()).collect();
    let name = path.display().to_string();
    let labels = labels.into_iter().collect();
    let (train, test) = divide(labels, &name, config.train_share, split_seed)?;
    let with = |subset: Subset| move |label: String| (label, subset);
    Ok(train
        .into_iter()
        .map(with(Subset::Train))
        .chain(test.into_iter().map(with(Subset::Test)))
        .collect())
}

fn add(row: Row, images: &Path, subsets: &HashMap<String, Subset>, collector: &mut Collector<'_>) {
    let Some(subset) = row.subset.or_else(|| subsets.get(&row.label).copied()) else {
        return;
    };
    let role = match subset {
        Subset::Train => Role::Both,
        Subset::Test => match collector.keep(&row.line, row.role) {
            Some(role) => role,
            None => return,
        },
    };
    let image = Entry {
        path: images.join(PathBuf::from(&row.path)),
        name: row.path,
        line: Some(row.line),
        role,
    };
    collector.add(subset, 0, &row.label, image);
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;
