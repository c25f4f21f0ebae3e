//! The columns of a CSV list: `path`, `label`, `split`, `query` and `gallery`, and a bounding box, with the names
//! that open-metric-learning gives them. Other columns are ignored, unless their name is close to that of a
//! column that is read and missing.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::csv_list::Header;
use super::delimiter::Delimiter;
use super::list_error::ListError;
use super::list_file::ListFile;
use crate::shorten::shorten;

const PATH: &str = "path";
const LABEL: &str = "label";
const SPLIT: &str = "split";
/// Spellings of a column, ours and that of open-metric-learning.
const QUERY: [&str; 2] = ["query", "is_query"];
const GALLERY: [&str; 2] = ["gallery", "is_gallery"];
/// The edges of the box: left, top, right, bottom.
pub(super) const EDGES: [&str; 4] = ["x_1", "y_1", "x_2", "y_2"];
/// open-metric-learning leaves images of the query's sequence out of the gallery.
const SEQUENCE: &str = "sequence";

/// The spellings of each column that changes what is read.
const READ: [&[&str]; 9] = [
    &[PATH],
    &[LABEL],
    &[SPLIT],
    &QUERY,
    &GALLERY,
    &[EDGES[0]],
    &[EDGES[1]],
    &[EDGES[2]],
    &[EDGES[3]],
];
/// Names that other programs give to the column `path`.
const OTHER_PATHS: [&str; 13] = [
    "image",
    "image_path",
    "img",
    "img_path",
    "file",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "image_file",
    "image_name",
    "images",
    "photo",
];
/// Names that other programs give to the column `label`.
const OTHER_LABELS: [&str; 9] = [
    "class",
    "class_id",
    "class_name",
    "label_id",
    "target",
    "identity",
    "product_id",
    "item_id",
    "category",
];
/// Longer names may differ in a letter and still be meant. The edges of the box differ from each other by one.
const FEWEST_LETTERS: usize = 4;

/// What a list is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListPurpose {
    /// Training and evaluation. `path` and `label` are required, and all columns are read.
    Dataset,
    /// Embedding. `path` is required; `query`, `gallery` and `sequence` are not read.
    Embedding,
}

impl ListPurpose {
    /// Returns whether the column `name` is read.
    fn reads(self, name: &str) -> bool {
        let of_datasets = QUERY.iter().chain(&GALLERY).chain([&SEQUENCE]);
        self == Self::Dataset || !of_datasets.into_iter().any(|other| *other == name)
    }

    /// Returns whether a column with a name close to `name` is refused. Images without a label are embedded too.
    fn refuses_close_to(self, name: &str) -> bool {
        self == Self::Dataset || (self.reads(name) && name != LABEL)
    }
}

/// The positions of the columns of a list.
#[derive(Debug)]
pub(super) struct ListColumns {
    pub(super) path: usize,
    pub(super) label: Option<usize>,
    pub(super) split: Option<usize>,
    /// Both columns, or neither.
    pub(super) roles: Option<[RoleColumn; 2]>,
    /// The edges of the box: left, top, right, bottom.
    pub(super) edges: Option<[usize; 4]>,
    /// Whether there is a column `sequence`.
    pub(super) has_sequence: bool,
    /// The positions and names of the columns that are not read.
    pub(super) others: Vec<(usize, String)>,
    count: usize,
    delimiter: Delimiter,
}

/// The column `query` or `gallery`, in one spelling or in both.
#[derive(Debug)]
pub(super) struct RoleColumn {
    /// Position and name of each spelling that the list has, at least one.
    pub(super) spellings: Vec<(usize, &'static str)>,
}

impl ListColumns {
    /// Finds the columns that are read for `purpose`.
    ///
    /// # Errors
    /// [`ListError::Invalid`] if a column is missing or occurs twice, or if the name of another column is close to
    /// that of a missing one.
    pub(super) fn new(
        header: &Header<'_>,
        purpose: ListPurpose,
        list: &ListFile,
    ) -> Result<Self, ListError> {
        let invalid = |reason| list.invalid(reason);
        let found = positions(header, purpose).map_err(invalid)?;
        let at = |name: &str| found.get(name).copied();
        let names = header.names.iter().map(str::trim).enumerate();
        let others: Vec<(usize, String)> = names
            .filter(|(column, _)| !found.values().any(|read| read == column))
            .map(|(column, name)| (column, name.to_string()))
            .collect();
        refuse_close_names(&others, &found, purpose).map_err(invalid)?;

        let required = match purpose {
            ListPurpose::Dataset => "path and label",
            ListPurpose::Embedding => "path",
        };
        let absent = |name, likely: &[&str]| {
            list.invalid(missing_column(name, likely, required, header.names))
        };
        let path = at(PATH).ok_or_else(|| absent(PATH, &OTHER_PATHS))?;
        let label = at(LABEL);
        if purpose == ListPurpose::Dataset && label.is_none() {
            return Err(absent(LABEL, &OTHER_LABELS));
        }
        let spelled = |names: [&'static str; 2]| {
            let spellings = names.into_iter();
            spellings
                .filter_map(|name| Some((at(name)?, name)))
                .collect()
        };
        Ok(Self {
            path,
            label,
            split: at(SPLIT),
            roles: roles(spelled(QUERY), spelled(GALLERY)).map_err(invalid)?,
            edges: all_edges(EDGES.map(at)).map_err(invalid)?,
            has_sequence: at(SEQUENCE).is_some(),
            others,
            count: header.names.len(),
            delimiter: header.delimiter,
        })
    }

    /// Refuses a row with another number of columns than the header.
    ///
    /// # Errors
    /// [`ListError::Row`].
    pub(super) fn check_count(&self, record: &StringRecord) -> Result<(), ListError> {
        match record.len() == self.count {
            true => Ok(()),
            false => Err(ListError::row(format!(
                "{} column(s) instead of the {} of the first line; quote values that contain {}",
                record.len(),
                self.count,
                self.delimiter.plural()
            ))),
        }
    }
}

/// Returns the position of each column that is read, by its name.
fn positions(
    header: &Header<'_>,
    purpose: ListPurpose,
) -> Result<BTreeMap<&'static str, usize>, String> {
    let mut positions = BTreeMap::new();
    let names = READ.into_iter().flatten().chain(&[SEQUENCE]);
    for name in names.filter(|name| purpose.reads(name)) {
        let mut columns = header.find(name);
        if let Some(column) = columns.next() {
            positions.insert(*name, column);
        }
        if columns.next().is_some() {
            return Err(format!(
                "has two columns {name}; remove or rename one of them"
            ));
        }
    }
    Ok(positions)
}

/// Returns the error of a list without the column `name`. `likely` are the names that it may have instead,
/// `required` all columns that are required.
fn missing_column(name: &str, likely: &[&str], required: &str, header: &StringRecord) -> String {
    // The index column of pandas has no name.
    let found = header.iter().map(str::trim).filter(|name| !name.is_empty());
    let found: Vec<&str> = found.collect();
    let is_likely = |name: &str| found.iter().find(|found| found.eq_ignore_ascii_case(name));
    let hint = match likely.iter().find_map(|name| is_likely(name)) {
        Some(likely) => format!("rename {likely} to {name}, if that is what it contains"),
        None => format!(
            "its first line must name the columns, separated by commas, semicolons, tabs or |, including \
             {required}"
        ),
    };
    format!(
        "has no column {name} among {}; {hint}",
        shorten(&found.join(", "))
    )
}

/// Refuses a column whose name is close to that of a missing one: it would be ignored without a word.
fn refuse_close_names(
    others: &[(usize, String)],
    found: &BTreeMap<&'static str, usize>,
    purpose: ListPurpose,
) -> Result<(), String> {
    let is_found = |spellings: &&[&str]| spellings.iter().any(|name| found.contains_key(name));
    let missing = READ.into_iter().filter(|spellings| !is_found(spellings));
    let missing = missing.flatten().copied();
    let missing: Vec<&str> = missing
        .filter(|name| purpose.refuses_close_to(name))
        .collect();
    for (_, other) in others {
        if let Some(known) = missing.iter().find(|known| is_close(other, known)) {
            return Err(format!(
                "has a column {other:?}, which is not read; rename it to {known} if that is what it contains, \
                 else to a less similar name"
            ));
        }
    }
    Ok(())
}

/// Returns whether two names differ in at most one letter or the order of two, without case, spaces and other
/// signs. Short names must be equal.
fn is_close(other: &str, known: &str) -> bool {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    // Comparing takes time in proportion to the product of the lengths.
    if other.len() > 2 * known.len() + FEWEST_LETTERS {
        return false;
    }
    let (other, known) = (letters(other), letters(known));
    let allowed = usize::from(known.len() >= FEWEST_LETTERS);
    strsim::osa_distance(&other, &known) <= allowed
}

fn roles(
    queries: Vec<(usize, &'static str)>,
    galleries: Vec<(usize, &'static str)>,
) -> Result<Option<[RoleColumn; 2]>, String> {
    let alone = |found: &str, names: [&str; 2]| {
        // In the spelling of the other column.
        let missing = names[usize::from(found.starts_with("is_"))];
        format!(
            "has a column {found} and no column {missing}; add it, or remove {found} if all images are both"
        )
    };
    match (queries.first(), galleries.first()) {
        (None, None) => Ok(None),
        (Some((_, found)), None) => Err(alone(found, GALLERY)),
        (None, Some((_, found))) => Err(alone(found, QUERY)),
        (Some(_), Some(_)) => Ok(Some(
            [queries, galleries].map(|spellings| RoleColumn { spellings }),
        )),
    }
}

fn all_edges(edges: [Option<usize>; 4]) -> Result<Option<[usize; 4]>, String> {
    if let [Some(left), Some(top), Some(right), Some(bottom)] = edges {
        return Ok(Some([left, top, right, bottom]));
    }
    let names = |found: bool| -> Vec<&str> {
        let named = edges.iter().zip(EDGES);
        let chosen = named.filter(|(edge, _)| edge.is_some() == found);
        chosen.map(|(_, name)| name).collect()
    };
    match names(true).as_slice() {
        [] => Ok(None),
        found => Err(format!(
            "has a column {} and no column {}; a bounding box needs x_1, y_1, x_2 and y_2 (left, top, right, \
             bottom); add what is missing, or remove {}",
            found.join(", "),
            names(false).join(", "),
            found.join(", ")
        )),
    }
}

#[cfg(test)]
#[path = "tests/list_columns.rs"]
mod tests;
