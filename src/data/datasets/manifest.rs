//! A CSV file that lists images: columns `path` and `label`, and if wanted `split` (`train` or
//! `test`), `query` and `gallery` (`true` or `false`).
//!
//! Without `split` the classes are divided as those of a folder. Other words than `train` and `test`
//! are refused, `val` too: a validation set is drawn from the training classes by the configuration,
//! and taking its images for training or test silently would change both. `query` and `gallery` come
//! together and are read for test images alone. Images that the manifest leaves out are no fault.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::class_policy::divide;
use super::collector::Collector;
use super::files_on_disk::{is_image, unsupported};
use super::index::{DatasetIndex, Entry, Line, Subset};
use super::list_file::{ListFile, row};
use crate::data::DataError;
use crate::data::config::ManifestConfig;
use crate::evaluation::Role;

const HINT: &str =
    "data.root has to be the CSV file, or the folder in which it lies as manifest.csv";
/// The manifest in a folder.
const NAME: &str = "manifest.csv";

/// What the manifest says.
pub(super) fn list(config: &ManifestConfig) -> Result<DatasetIndex, DataError> {
    let path = match config.root.is_dir() {
        true => config.root.join(NAME),
        false => config.root.clone(),
    };
    let list = ListFile::read(&path, HINT)?;
    let images = match &config.images {
        Some(images) => images.clone(),
        None => path.parent().unwrap_or(Path::new("")).into(),
    };
    if !images.as_os_str().is_empty() && !images.is_dir() {
        return Err(DataError::RootMissing {
            root: images,
            hint: "this is data.images, the folder that the manifest's paths are relative to",
        });
    }
    let mut collector = Collector::default();
    let columns_of = |header: &StringRecord| Columns::of(header, &list);
    let rows = read_rows(&list, columns_of, |columns, record, line| {
        collector.keep(&line, columns.row(record, &line))
    })?;
    let subsets = subsets(&rows, &path, config).map_err(|error| {
        // What is wrong with the rows may be why there are too few.
        let mut faults = std::mem::take(&mut collector.faults);
        faults.push(error);
        let more = faults.len() - 1;
        faults.swap_remove(0).and_more(more)
    })?;
    for row in rows {
        add(row, &images, &subsets, &mut collector);
    }
    Ok(collector.into_index(None))
}

/// An image of a list that need not be a dataset: to be embedded.
pub(super) struct PlainRow {
    pub(super) line: Line,
    pub(super) path: String,
    /// None where the column is absent or empty.
    pub(super) label: Option<String>,
    /// The word in the column `split`, if there is one.
    pub(super) split: Option<String>,
}

/// The rows of a list that need not be a dataset, and the faults in the others: only the column `path`
/// is needed, `label` and `split` may be absent or hold anything, the others are not read.
pub(super) fn plain_rows(list: &ListFile) -> Result<(Vec<PlainRow>, Vec<DataError>), DataError> {
    let mut faults = Vec::new();
    let columns_of = |header: &StringRecord| PlainColumns::of(header, list);
    let rows = read_rows(list, columns_of, |columns, record, line| {
        columns
            .row(record, &line)
            .map_err(|error| faults.push(line.locate(error)))
            .ok()
    })?;
    Ok((rows, faults))
}

/// Where the columns of a list that need not be a dataset are.
struct PlainColumns {
    path: usize,
    label: Option<usize>,
    split: Option<usize>,
    count: usize,
}

impl PlainColumns {
    fn of(header: &StringRecord, list: &ListFile) -> Result<Self, DataError> {
        let Some(path) = find(header, "path") else {
            return Err(list.fault(missing_column("path", "path", header)));
        };
        Ok(Self {
            path,
            label: find(header, "label"),
            split: find(header, "split"),
            count: header.len(),
        })
    }

    fn row(&self, record: &StringRecord, line: &Line) -> Result<PlainRow, DataError> {
        check_count(record, self.count)?;
        let word = |column: usize| record[column].trim().to_string();
        let path = word(self.path);
        if path.is_empty() {
            return Err(empty("path"));
        }
        Ok(PlainRow {
            line: line.clone(),
            path,
            label: self.label.map(word).filter(|label| !label.is_empty()),
            split: self.split.map(word),
        })
    }
}

fn find(header: &StringRecord, name: &str) -> Option<usize> {
    header
        .iter()
        .position(|n| n.trim().eq_ignore_ascii_case(name))
}

fn missing_column(name: &str, needed: &str, header: &StringRecord) -> String {
    let found: Vec<&str> = header.iter().map(str::trim).collect();
    format!(
        "has no column {name} among {}: its first line has to name the columns, with commas between \
         them, {needed} among them",
        found.join(", ")
    )
}

fn check_count(record: &StringRecord, count: usize) -> Result<(), DataError> {
    match record.len() == count {
        true => Ok(()),
        false => Err(row(format!(
            "{} column(s) where the first line names {count}: quote values with commas in them",
            record.len(),
        ))),
    }
}

fn empty(column: &str) -> DataError {
    row(format!(
        "the {column} is empty: fill it in or remove the line"
    ))
}

/// A row of a dataset, as far as it can be used.
struct Row {
    line: Line,
    path: String,
    label: String,
    /// None where the manifest has no column `split`.
    subset: Option<Subset>,
    /// Of no meaning for training images.
    role: Result<Role, DataError>,
}

/// Where the columns of a dataset are.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    roles: Option<(usize, usize)>,
    count: usize,
}

impl Columns {
    fn of(header: &StringRecord, list: &ListFile) -> Result<Self, DataError> {
        let find = |name: &str| find(header, name);
        let needed = |name: &str| {
            find(name).ok_or_else(|| list.fault(missing_column(name, "path and label", header)))
        };
        let roles = match (find("query"), find("gallery")) {
            (None, None) => None,
            (Some(_), None) => return Err(list.fault(other_role("query", "gallery"))),
            (None, Some(_)) => return Err(list.fault(other_role("gallery", "query"))),
            (Some(query), Some(gallery)) => Some((query, gallery)),
        };
        Ok(Self {
            path: needed("path")?,
            label: needed("label")?,
            split: find("split"),
            roles,
            count: header.len(),
        })
    }

    fn row(&self, record: &StringRecord, line: &Line) -> Result<Row, DataError> {
        check_count(record, self.count)?;
        let [path, label] = [(self.path, "path"), (self.label, "label")].map(|(column, name)| {
            match record[column].trim() {
                "" => Err(empty(name)),
                value => Ok(value.to_string()),
            }
        });
        let subset = self
            .split
            .map(|column| subset(record[column].trim()))
            .transpose()?;
        let path = path?;
        if !is_image(Path::new(&path)) {
            return Err(unsupported(Path::new(&path)));
        }
        Ok(Row {
            line: line.clone(),
            path,
            label: label?,
            subset,
            role: match self.roles {
                None => Ok(Role::Both),
                Some((query, gallery)) => role(record[query].trim(), record[gallery].trim()),
            },
        })
    }
}

fn other_role(found: &str, missing: &str) -> String {
    format!(
        "has a column {found} and no column {missing}: add it, or remove {found} for images that are \
         both"
    )
}

fn subset(word: &str) -> Result<Subset, DataError> {
    match word.to_ascii_lowercase().as_str() {
        "train" => Ok(Subset::Train),
        "test" => Ok(Subset::Test),
        "val" | "valid" | "validation" => Err(row(format!(
            "the split is {word:?}, which is not read: write train, of which a validation set can be \
             held out while training, or test, or remove the line"
        ))),
        "" => Err(row(
            "the split is empty: write train or test, or remove the line",
        )),
        _ => Err(row(format!(
            "the split is {word:?} and has to be train or test"
        ))),
    }
}

fn role(query: &str, gallery: &str) -> Result<Role, DataError> {
    match (truth("query", query)?, truth("gallery", gallery)?) {
        (true, true) => Ok(Role::Both),
        (true, false) => Ok(Role::Query),
        (false, true) => Ok(Role::Gallery),
        (false, false) => Err(row(
            "the test image is neither query nor gallery, so that it is never used: set one of them \
             to true or remove the line",
        )),
    }
}

fn truth(column: &str, word: &str) -> Result<bool, DataError> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "" => Ok(false),
        _ => Err(row(format!(
            "{column} is {word:?} and has to be true or false"
        ))),
    }
}

/// What `row_of` makes of the lines below the header, whose columns `columns_of` finds.
fn read_rows<C, R>(
    list: &ListFile,
    columns_of: impl FnOnce(&StringRecord) -> Result<C, DataError>,
    mut row_of: impl FnMut(&C, &StringRecord, Line) -> Option<R>,
) -> Result<Vec<R>, DataError> {
    let text = list.text();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let unusable =
        |error: csv::Error| list.fault(format!("is no CSV file ({error}): save it as CSV"));
    let columns = columns_of(reader.headers().map_err(unusable)?)?;
    let mut lines = LineCounter {
        text,
        byte: 0,
        line: 1,
    };
    let (mut rows, mut record) = (Vec::new(), StringRecord::new());
    while reader.read_record(&mut record).map_err(unusable)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = list.line(lines.at_text_after(start as usize));
        rows.extend(row_of(&columns, &record, line));
    }
    Ok(rows)
}

/// Counts lines itself: a record's position is where the last one ended, empty lines before it.
struct LineCounter<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// The line, from 1, of the first byte from `start` on that ends no line; `start` never falls.
    fn at_text_after(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.byte) {
            if self.byte >= start && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += usize::from(byte == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

/// The subsets of the labels where the manifest has no column `split`, otherwise none.
fn subsets(
    rows: &[Row],
    path: &Path,
    config: &ManifestConfig,
) -> Result<HashMap<String, Subset>, DataError> {
    if rows.iter().any(|row| row.subset.is_some()) {
        return Ok(HashMap::new());
    }
    let labels: BTreeSet<String> = rows.iter().map(|row| row.label.clone()).collect();
    let name = path.display().to_string();
    let labels = labels.into_iter().collect();
    let (train, test) = divide(labels, &name, config.train_share, config.split_seed)?;
    let with = |subset: Subset| move |label: String| (label, subset);
    Ok(train
        .into_iter()
        .map(with(Subset::Train))
        .chain(test.into_iter().map(with(Subset::Test)))
        .collect())
}

fn add(row: Row, images: &Path, subsets: &HashMap<String, Subset>, collector: &mut Collector) {
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
