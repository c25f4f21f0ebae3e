//! A CSV file that lists the images of a dataset: columns `path` and `label`, and optionally `split` (`train`,
//! `validation` or `test`), `query` and `gallery` (`true` or `false`), and a bounding box (`x_1`, `y_1`, `x_2`,
//! `y_2`). The files of open-metric-learning are read as they are.
//!
//! Without `split`, the classes are divided as those of a folder. The classes of the validation images choose the
//! best epoch. If a list has validation images and no test images, as those of open-metric-learning, the
//! validation images are the test split.
//!
//! `query` and `gallery` must occur together. They are not read for training images. Images that are not in the
//! manifest are ignored.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::class_split::divide;
use super::collector::Collector;
use super::csv_list::{Header, empty, read_rows};
use super::error::DatasetError;
use super::files_on_disk::existing_folder;
use super::index::{DatasetIndex, Entry, Subset};
use super::list_columns::{ListColumns, ListPurpose};
use super::list_error::ListError;
use super::list_file::{ListFile, check_length};
use super::list_values::{parse_box, parse_role, parse_subset};
use super::listed_path::listed_path;
use super::split_candidates::SplitCandidates;
use crate::data::bounding_box::BoundingBox;
use crate::data::config::ManifestConfig;
use crate::data::list_line::ListLine;
use crate::evaluation::Role;
use crate::progress::Task;

const HINT: &str = "data.root must be the CSV file, or the folder that contains it as manifest.csv";
/// The name of the manifest in a folder.
const NAME: &str = "manifest.csv";
/// Its other name, which is read if there is no file of the first.
const OTHER_NAME: &str = "manifest.tsv";

/// Reads the index of a manifest. `split_seed` draws the training classes if there is no column `split`.
pub(super) fn index(
    config: &ManifestConfig,
    split_seed: Option<u64>,
    listing: &Task<'_>,
) -> Result<DatasetIndex, DatasetError> {
    let path = manifest_path(&config.root);
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
    let mut rows = rows(&list, &mut collector)?;
    let subsets = subsets(&rows, &path, config, split_seed).unwrap_or_else(|error| {
        collector.errors.push(error);
        // `data check` examines the images of all classes although they cannot be divided.
        let labels = rows.iter().map(|row| row.label.clone());
        labels.map(|label| (label, Subset::Train)).collect()
    });
    let warning = measure_validation_without_test(&mut rows);
    let warning = warning.map(|reason| list.invalid(reason).into());
    collector.warnings.extend(warning);
    for row in rows {
        add(row, &images, &subsets, &mut collector);
    }
    Ok(collector.into_index(None))
}

/// Returns the manifest of `root`, which is the file or its folder.
fn manifest_path(root: &Path) -> PathBuf {
    if !root.is_dir() {
        return root.into();
    }
    let other = root.join(OTHER_NAME);
    match other.is_file() && !root.join(NAME).exists() {
        true => other,
        false => root.join(NAME),
    }
}

/// Reads the rows of a manifest.
///
/// # Errors
/// If the file is not a CSV file, a column is missing, or a column that is not read contains the splits.
pub(super) fn rows(
    list: &ListFile,
    collector: &mut Collector<'_>,
) -> Result<Vec<Row>, DatasetError> {
    let columns_of = |header: &Header<'_>| Columns::new(header, list);
    let (columns, rows) = read_rows(list, columns_of, |columns, record, line| {
        columns.with_splits.examine(record);
        collector.keep(&line, columns.row(record, &line))
    })?;
    if let (false, Some(reason)) = (rows.is_empty(), columns.with_splits.refusal()) {
        return Err(list.invalid(reason).into());
    }
    if columns.found.has_sequence {
        let reason = "has a column sequence, which is not read: images of the query's own sequence are in the \
                      gallery, where open-metric-learning ignores them, and recall may be higher";
        collector.warnings.push(list.invalid(reason).into());
    }
    Ok(rows)
}

/// A row of a manifest.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    line: ListLine,
    path: String,
    label: String,
    /// `None` if the manifest has no column `split`.
    subset: Option<Subset>,
    /// Unused for training images.
    role: Result<Role, ListError>,
    bounding_box: Option<BoundingBox>,
}

/// The columns of a manifest.
struct Columns {
    found: ListColumns,
    label: usize,
    /// The columns that may be the splits. Empty if there is a column `split`.
    with_splits: SplitCandidates,
}

impl Columns {
    fn new(header: &Header<'_>, list: &ListFile) -> Result<Self, ListError> {
        let found = ListColumns::new(header, ListPurpose::Dataset, list)?;
        Ok(Self {
            label: found.label.expect("the column is required"),
            with_splits: SplitCandidates::new(match found.split {
                None => &found.others,
                Some(_) => &[],
            }),
            found,
        })
    }

    fn row(&self, record: &StringRecord, line: &ListLine) -> Result<Row, DatasetError> {
        let columns = &self.found;
        columns.check_count(record)?;
        let [path, label] =
            [(columns.path, "path"), (self.label, "label")].map(|(column, name)| {
                match record[column].trim() {
                    "" => Err(empty(name)),
                    value => check_length(value, name).map(|()| value.to_string()),
                }
            });
        let subset = columns
            .split
            .map(|column| parse_subset(record[column].trim()))
            .transpose()?;
        Ok(Row {
            line: line.clone(),
            path: path?,
            label: label?,
            subset,
            role: parse_role(columns, record),
            bounding_box: parse_box(columns, record)?,
        })
    }
}

/// Makes the validation rows test rows if there are no others. Returns a warning about it.
fn measure_validation_without_test(rows: &mut [Row]) -> Option<&'static str> {
    let has = |subset| rows.iter().any(|row: &Row| row.subset == Some(subset));
    if !has(Subset::Validation) || has(Subset::Test) {
        return None;
    }
    for row in rows {
        if row.subset == Some(Subset::Validation) {
            row.subset = Some(Subset::Test);
        }
    }
    Some(
        "has rows of the split validation and none of test, as the lists of open-metric-learning: the validation \
         rows are the test split, and do not choose the best epoch unless evaluation.protocol = \"published\"",
    )
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
        Subset::Train => Ok(Role::Both),
        Subset::Validation | Subset::Test => row.role,
    };
    let Some(role) = collector.keep(&row.line, role) else {
        return;
    };
    let Some(file) = collector.keep(&row.line, listed_path(images, &row.path)) else {
        return;
    };
    let image = Entry {
        line: Some(row.line),
        role,
        ..Entry::new(file.name, file.path).with_bounding_box(row.bounding_box)
    };
    collector.add(subset, 0, &row.label, image);
}

#[cfg(test)]
#[path = "tests/manifest_layouts.rs"]
mod layout_tests;
#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;
