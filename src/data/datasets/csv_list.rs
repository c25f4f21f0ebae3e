//! CSV files that list images: rows, columns and line numbers.

use csv::StringRecord;

use super::error::DatasetError;
use super::list_error::ListError;
use super::list_file::{ListFile, MAXIMUM_LINE_BYTES};
use crate::data::list_line::ListLine;
use crate::shorten::shorten;

/// Returns the position of the column `name`, compared without case.
pub(super) fn find_column(header: &StringRecord, name: &str) -> Option<usize> {
    header
        .iter()
        .position(|n| n.trim().eq_ignore_ascii_case(name))
}

/// Returns the message of a list without the column `name`. `required` names all required columns.
pub(super) fn missing_column(name: &str, required: &str, header: &StringRecord) -> String {
    let found: Vec<&str> = header.iter().map(str::trim).collect();
    format!(
        "has no column {name} among {}; its first line must name the columns, separated by commas, \
         including {required}",
        shorten(&found.join(", "))
    )
}

/// Refuses a row with another number of columns than the header.
pub(super) fn check_count(record: &StringRecord, count: usize) -> Result<(), ListError> {
    match record.len() == count {
        true => Ok(()),
        false => Err(ListError::row(format!(
            "{} column(s) instead of the {count} of the first line; quote values that contain commas",
            record.len(),
        ))),
    }
}

/// Returns the error of an empty value.
pub(super) fn empty(column: &str) -> ListError {
    ListError::row(format!(
        "the {column} is empty; fill it in or remove the line"
    ))
}

/// Reads the rows of a list. `columns_of` finds the columns in the header, `row_of` converts a row.
///
/// # Errors
/// [`ListError::Invalid`] if the list is not a CSV file or has a row of more than 64 KiB, or the error of
/// `columns_of`.
pub(super) fn read_rows<C, R>(
    list: &ListFile,
    columns_of: impl FnOnce(&StringRecord) -> Result<C, ListError>,
    mut row_of: impl FnMut(&C, &StringRecord, ListLine) -> Option<R>,
) -> Result<Vec<R>, DatasetError> {
    let text = list.text();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let not_csv =
        |error: csv::Error| list.invalid(format!("is not a CSV file ({error}); save it as CSV"));
    let too_long = |line: usize| {
        list.invalid(format!(
            "has a row of more than 64 KiB, the most that is read, at line {line}; is a quotation mark not \
             closed?"
        ))
    };
    let header = reader.headers().map_err(not_csv)?;
    if header.as_slice().len() > MAXIMUM_LINE_BYTES {
        return Err(too_long(1).into());
    }
    let columns = columns_of(header)?;
    let mut lines = LineCounter {
        text,
        byte: 0,
        line: 1,
    };
    let (mut rows, mut record) = (Vec::new(), StringRecord::new());
    while reader.read_record(&mut record).map_err(not_csv)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.at_text_after(start as usize);
        if record.as_slice().len() > MAXIMUM_LINE_BYTES {
            return Err(too_long(line).into());
        }
        let line = list.line(line);
        rows.extend(row_of(&columns, &record, line));
    }
    Ok(rows)
}

/// Counts lines. The `csv` crate reports the position where the previous record ended, before empty
/// lines.
struct LineCounter<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// Returns the line, from 1, of the first byte at or after `start` that is not a line ending.
    /// `start` must not decrease between calls.
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
