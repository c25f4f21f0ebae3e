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
use super::list_file::{ListFile, row};
use super::listing::{Line, ListedImage, Listing, Side};
use crate::config::ManifestConfig;
use crate::data::DataError;
use crate::evaluation::Role;

const MEND: &str =
    "data.root has to be the CSV file, or the folder in which it lies as manifest.csv";
/// The manifest in a folder.
const NAME: &str = "manifest.csv";

/// What the manifest says.
pub(super) fn list(config: &ManifestConfig) -> Result<Listing, DataError> {
    let path = match config.root.is_dir() {
        true => config.root.join(NAME),
        false => config.root.clone(),
    };
    let list = ListFile::read(&path, MEND)?;
    let images = match &config.images {
        Some(images) => images.clone(),
        None => path.parent().unwrap_or(Path::new("")).into(),
    };
    if !images.as_os_str().is_empty() && !images.is_dir() {
        return Err(DataError::RootMissing {
            root: images,
            mend: "this is data.images, the folder that the manifest's paths are relative to",
        });
    }
    let mut collector = Collector::default();
    let rows = read_rows(&list, &mut collector)?;
    let sides = sides(&rows, &path, config).map_err(|error| {
        // What is wrong with the rows may be why there are too few.
        let mut faults = std::mem::take(&mut collector.faults);
        faults.push(error);
        let more = faults.len() - 1;
        faults.swap_remove(0).and_more(more)
    })?;
    for row in rows {
        add(row, &images, &sides, &mut collector);
    }
    Ok(collector.into_listing(None))
}

/// A row, as far as it can be used.
struct Row {
    line: Line,
    path: String,
    label: String,
    /// None where the manifest has no column `split`.
    side: Option<Side>,
    /// Of no meaning for training images.
    role: Result<Role, DataError>,
}

/// Where the columns are.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    roles: Option<(usize, usize)>,
    count: usize,
}

impl Columns {
    fn of(header: &StringRecord, list: &ListFile) -> Result<Self, DataError> {
        let find = |name: &str| {
            header
                .iter()
                .position(|n| n.trim().eq_ignore_ascii_case(name))
        };
        let needed = |name: &str| {
            find(name).ok_or_else(|| {
                let found: Vec<&str> = header.iter().map(str::trim).collect();
                list.fault(format!(
                    "has no column {name} among {}: its first line has to name the columns, with \
                     commas between them, path and label among them",
                    found.join(", ")
                ))
            })
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
        if record.len() != self.count {
            return Err(row(format!(
                "{} column(s) where the first line names {}: quote values with commas in them",
                record.len(),
                self.count
            )));
        }
        let [path, label] = [(self.path, "path"), (self.label, "label")].map(|(column, name)| {
            match record[column].trim() {
                "" => Err(row(format!(
                    "the {name} is empty: fill it in or remove the line"
                ))),
                value => Ok(value.to_string()),
            }
        });
        let side = self
            .split
            .map(|column| side(record[column].trim()))
            .transpose()?;
        let path = path?;
        if !is_image(Path::new(&path)) {
            return Err(unsupported(Path::new(&path)));
        }
        Ok(Row {
            line: line.clone(),
            path,
            label: label?,
            side,
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

fn side(word: &str) -> Result<Side, DataError> {
    match word.to_ascii_lowercase().as_str() {
        "train" => Ok(Side::Train),
        "test" => Ok(Side::Test),
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

/// The rows that can be used; the others are faults.
fn read_rows(list: &ListFile, collector: &mut Collector) -> Result<Vec<Row>, DataError> {
    let text = list.text();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let unusable =
        |error: csv::Error| list.fault(format!("is no CSV file ({error}): save it as CSV"));
    let columns = Columns::of(reader.headers().map_err(unusable)?, list)?;
    let mut lines = LineCounter {
        text,
        byte: 0,
        line: 1,
    };
    let (mut rows, mut record) = (Vec::new(), StringRecord::new());
    while reader.read_record(&mut record).map_err(unusable)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = list.line(lines.at_text_after(start as usize));
        let row = columns.row(&record, &line);
        rows.extend(collector.keep(&line, row));
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

/// The sides of the labels where the manifest has no column `split`, otherwise none.
fn sides(
    rows: &[Row],
    path: &Path,
    config: &ManifestConfig,
) -> Result<HashMap<String, Side>, DataError> {
    if rows.iter().any(|row| row.side.is_some()) {
        return Ok(HashMap::new());
    }
    let labels: BTreeSet<String> = rows.iter().map(|row| row.label.clone()).collect();
    let name = path.display().to_string();
    let labels = labels.into_iter().collect();
    let (train, test) = divide(labels, &name, config.train_share, config.split_seed)?;
    let with = |side: Side| move |label: String| (label, side);
    Ok(train
        .into_iter()
        .map(with(Side::Train))
        .chain(test.into_iter().map(with(Side::Test)))
        .collect())
}

fn add(row: Row, images: &Path, sides: &HashMap<String, Side>, collector: &mut Collector) {
    let Some(side) = row.side.or_else(|| sides.get(&row.label).copied()) else {
        return;
    };
    let role = match side {
        Side::Train => Role::Both,
        Side::Test => match collector.keep(&row.line, row.role) {
            Some(role) => role,
            None => return,
        },
    };
    let image = ListedImage {
        path: images.join(PathBuf::from(&row.path)),
        name: row.path,
        line: Some(row.line),
        role,
    };
    collector.add(side, 0, &row.label, image);
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;
