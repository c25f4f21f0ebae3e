//! CSV files of images to embed. Only the column `path` is required; `label` and `split` may be absent
//! or have any value.

use csv::StringRecord;

use super::csv_list::{check_count, empty, find_column, missing_column, read_rows};
use super::error::DatasetError;
use super::list_error::ListError;
use super::list_file::{ListFile, check_length};
use crate::data::list_line::ListLine;

/// A row of a list of images to embed.
pub(super) struct ImageRow {
    pub(super) line: ListLine,
    pub(super) path: String,
    /// `None` if the column is absent or empty.
    pub(super) label: Option<String>,
    /// The value of the column `split`, or `None` if it is absent.
    pub(super) split: Option<String>,
}

/// Reads the rows of a list of images to embed, and the errors of rows that cannot be used. Other
/// columns are ignored.
///
/// # Errors
/// [`ListError::Invalid`] if the list is not a CSV file or has no column `path`.
pub(super) fn image_rows(
    list: &ListFile,
) -> Result<(Vec<ImageRow>, Vec<DatasetError>), DatasetError> {
    let mut errors = Vec::new();
    let columns_of = |header: &StringRecord| Columns::from_header(header, list);
    let rows = read_rows(list, columns_of, |columns, record, line| {
        columns
            .row(record, &line)
            .map_err(|error| errors.push(DatasetError::from(error).with_line(&line)))
            .ok()
    })?;
    Ok((rows, errors))
}

/// The positions of the columns.
struct Columns {
    path: usize,
    label: Option<usize>,
    split: Option<usize>,
    count: usize,
}

impl Columns {
    fn from_header(header: &StringRecord, list: &ListFile) -> Result<Self, ListError> {
        let Some(path) = find_column(header, "path") else {
            return Err(list.invalid(missing_column("path", "path", header)));
        };
        Ok(Self {
            path,
            label: find_column(header, "label"),
            split: find_column(header, "split"),
            count: header.len(),
        })
    }

    fn row(&self, record: &StringRecord, line: &ListLine) -> Result<ImageRow, ListError> {
        check_count(record, self.count)?;
        let word = |column: usize| record[column].trim().to_string();
        let path = word(self.path);
        if path.is_empty() {
            return Err(empty("path"));
        }
        check_length(&path, "path")?;
        let label = self.label.map(word).filter(|label| !label.is_empty());
        check_length(label.as_deref().unwrap_or_default(), "label")?;
        Ok(ImageRow {
            line: line.clone(),
            path,
            label,
            split: self.split.map(word),
        })
    }
}
