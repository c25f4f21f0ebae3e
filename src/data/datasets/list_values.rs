//! The values of a CSV list's columns `split`, `query`, `gallery` and of bounding boxes, as people and pandas
//! write them.

use csv::StringRecord;

use super::index::Subset;
use super::list_columns::{EDGES, ListColumns, RoleColumn};
use super::list_error::ListError;
use crate::data::bounding_box::BoundingBox;
use crate::evaluation::Role;
use crate::shorten::shorten;

/// Returns whether there is no value, which pandas may also write as a word.
pub(super) fn is_absent(word: &str) -> bool {
    let absent = ["", "nan", "none", "null", "na", "<na>"];
    absent.contains(&word.to_ascii_lowercase().as_str())
}

/// Parses the column `split`.
///
/// # Errors
/// [`ListError::Row`] if it names no split.
pub(super) fn parse_subset(word: &str) -> Result<Subset, ListError> {
    match word.to_ascii_lowercase().as_str() {
        "train" => Ok(Subset::Train),
        "val" | "valid" | "validation" => Ok(Subset::Validation),
        "test" => Ok(Subset::Test),
        "" => Err(ListError::row(
            "the split is empty; write train, validation or test, or remove the line",
        )),
        _ => Err(ListError::row(format!(
            "the split is {:?} but must be train, validation or test",
            shorten(word)
        ))),
    }
}

/// Returns whether two values of the column `split` are the same split: `Test` and `test`, `val` and `validation`.
/// Values that name no split must be equal.
pub(super) fn is_same_split(one: &str, other: &str) -> bool {
    match (parse_subset(one), parse_subset(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Parses the columns `query` and `gallery` of a test or validation image. Images of a list without them are both.
///
/// # Errors
/// [`ListError::Row`] if a value is not `true` or `false`, two spellings of a column contradict each other, or both
/// are false.
pub(super) fn parse_role(columns: &ListColumns, record: &StringRecord) -> Result<Role, ListError> {
    let Some([query, gallery]) = &columns.roles else {
        return Ok(Role::Both);
    };
    match (parse_flag(query, record)?, parse_flag(gallery, record)?) {
        (true, true) => Ok(Role::Both),
        (true, false) => Ok(Role::Query),
        (false, true) => Ok(Role::Gallery),
        (false, false) => Err(ListError::row(
            "the image is neither query nor gallery, so it is never used; set one of them to true, or remove \
             the line",
        )),
    }
}

fn parse_flag(column: &RoleColumn, record: &StringRecord) -> Result<bool, ListError> {
    let mut first = None;
    for &(position, name) in &column.spellings {
        let value = parse_bool(name, record[position].trim())?;
        match first {
            Some((other, of_other)) if of_other != value => {
                return Err(ListError::row(format!(
                    "{other} is {of_other} and {name} is {value}, which are two names of one column; remove one \
                     of the columns"
                )));
            }
            _ => first = Some((name, value)),
        }
    }
    Ok(first.is_some_and(|(_, value)| value))
}

fn parse_bool(column: &str, word: &str) -> Result<bool, ListError> {
    match word.to_ascii_lowercase().as_str() {
        // pandas writes numbers of a column with empty values with a point.
        "true" | "1" | "1.0" | "yes" => Ok(true),
        "false" | "0" | "0.0" | "no" => Ok(false),
        word if is_absent(word) => Ok(false),
        _ => Err(ListError::row(format!(
            "{column} is {:?}; write true or false, or 1 or 0",
            shorten(word)
        ))),
    }
}

/// Parses the bounding box. `None` if the list has no boxes or all four edges are empty: the whole image.
///
/// # Errors
/// [`ListError::Row`] if an edge is not a number, or the box is empty or too narrow.
pub(super) fn parse_box(
    columns: &ListColumns,
    record: &StringRecord,
) -> Result<Option<BoundingBox>, ListError> {
    let Some(edges) = columns.edges else {
        return Ok(None);
    };
    let words = edges.map(|column| record[column].trim());
    if words.into_iter().all(is_absent) {
        return Ok(None);
    }
    let mut numbers = [0.0; 4];
    for ((number, word), name) in numbers.iter_mut().zip(words).zip(EDGES) {
        *number = word.parse().map_err(|_| {
            let found = match is_absent(word) {
                true => "empty".into(),
                false => format!("{:?}", shorten(word)),
            };
            let form = match word.contains(',') {
                true => " with a decimal point, such as 0.5",
                false => "",
            };
            ListError::row(format!(
                "{name} is {found} but must be a number of pixels{form}; leave x_1, y_1, x_2 and y_2 empty for \
                 the whole image"
            ))
        })?;
    }
    BoundingBox::new(numbers).map(Some).map_err(|reason| {
        let words: Vec<_> = words.iter().map(|word| shorten(word)).collect();
        ListError::row(format!(
            "the bounding box {} (x_1, y_1, x_2, y_2: left, top, right, bottom) cannot be used: {reason}; correct \
             it, or leave all four empty for the whole image",
            words.join(", ")
        ))
    })
}
