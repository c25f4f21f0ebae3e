//! CSV files of images to embed. Only the column `path` is required; `label` and `split` may be absent
//! or have any value. A bounding box (`x_1`, `y_1`, `x_2`, `y_2`) is read as in a manifest.

use csv::StringRecord;

use super::csv_list::{Header, empty, read_rows};
use super::error::DatasetError;
use super::list_columns::{ListColumns, ListPurpose};
use super::list_error::ListError;
use super::list_file::{ListFile, check_length};
use super::list_values::parse_box;
use crate::data::bounding_box::BoundingBox;
use crate::data::list_line::ListLine;

/// A row of a list of images to embed.
#[derive(Debug, PartialEq)]
pub(super) struct ImageRow {
    pub(super) line: ListLine,
    pub(super) path: String,
    /// `None` if the column is absent or empty.
    pub(super) label: Option<String>,
    /// The value of the column `split`, or `None` if it is absent.
    pub(super) split: Option<String>,
    /// `None` for the whole image.
    pub(super) bounding_box: Option<BoundingBox>,
}

/// Reads the rows of a list of images to embed, and the errors of rows that cannot be used. Other
/// columns are ignored.
///
/// # Errors
/// [`ListError::Invalid`] if the list is not a CSV file, has no column `path`, or has a column whose name is close
/// to `path`, `split` or an edge of the box, which is missing.
pub(super) fn image_rows(
    list: &ListFile,
) -> Result<(Vec<ImageRow>, Vec<DatasetError>), DatasetError> {
    let mut errors = Vec::new();
    let columns_of = |header: &Header<'_>| ListColumns::new(header, ListPurpose::Embedding, list);
    let (_, rows) = read_rows(list, columns_of, |columns, record, line| {
        row(columns, record, &line)
            .map_err(|error| errors.push(DatasetError::from(error).with_line(&line)))
            .ok()
    })?;
    Ok((rows, errors))
}

fn row(
    columns: &ListColumns,
    record: &StringRecord,
    line: &ListLine,
) -> Result<ImageRow, ListError> {
    columns.check_count(record)?;
    let word = |column: usize| record[column].trim().to_string();
    let path = word(columns.path);
    if path.is_empty() {
        return Err(empty("path"));
    }
    check_length(&path, "path")?;
    let label = columns.label.map(word).filter(|label| !label.is_empty());
    check_length(label.as_deref().unwrap_or_default(), "label")?;
    Ok(ImageRow {
        line: line.clone(),
        path,
        label,
        split: columns.split.map(word),
        bounding_box: parse_box(columns, record)?,
    })
}
