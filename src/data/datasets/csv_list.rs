//! CSV files that list images: rows and line numbers.

use csv::StringRecord;

use super::delimiter::Delimiter;
use super::error::DatasetError;
use super::list_error::ListError;
use super::list_file::{ListFile, MAXIMUM_LINE_BYTES};
use crate::data::list_line::ListLine;

/// The names of the columns of a CSV file.
pub(super) struct Header<'a> {
    pub(super) names: &'a StringRecord,
    pub(super) delimiter: Delimiter,
}

impl Header<'_> {
    /// Returns the positions of the columns `name`, compared without case and surrounding white space.
    pub(super) fn find<'b>(&'b self, name: &'b str) -> impl Iterator<Item = usize> + 'b {
        let names = self.names.iter().enumerate();
        let same = |(_, found): &(usize, &str)| found.trim().eq_ignore_ascii_case(name);
        names.filter(same).map(|(column, _)| column)
    }
}

/// Returns the error of an empty value.
pub(super) fn empty(column: &str) -> ListError {
    ListError::row(format!(
        "the {column} is empty; fill it in or remove the line"
    ))
}

/// Reads the rows of a list. `columns_of` finds the columns in the header, `row_of` converts a row. Returns the
/// columns and the rows.
///
/// # Errors
/// [`ListError::Invalid`] if the list is not a CSV file or has a row of more than 64 KiB, or the error of
/// `columns_of`.
pub(super) fn read_rows<C, R>(
    list: &ListFile,
    columns_of: impl FnOnce(&Header<'_>) -> Result<C, ListError>,
    mut row_of: impl FnMut(&mut C, &StringRecord, ListLine) -> Option<R>,
) -> Result<(C, Vec<R>), DatasetError> {
    let (delimiter, before) = Delimiter::detect(list.text());
    let text = &list.text()[before.bytes..];
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter.byte())
        .from_reader(text.as_bytes());
    let not_csv =
        |error: csv::Error| list.invalid(format!("is not a CSV file ({error}); save it as CSV"));
    let too_long = |line: usize| {
        list.invalid(format!(
            "has a row of more than 64 KiB, the most that is read, at line {line}; is a quotation mark not \
             closed?"
        ))
    };
    let names = reader.headers().map_err(not_csv)?;
    if names.as_slice().len() > MAXIMUM_LINE_BYTES {
        return Err(too_long(before.lines + 1).into());
    }
    let mut columns = columns_of(&Header { names, delimiter })?;
    let mut lines = LineCounter {
        text,
        byte: 0,
        line: before.lines + 1,
    };
    let (mut rows, mut record) = (Vec::new(), StringRecord::new());
    while reader.read_record(&mut record).map_err(not_csv)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.at_text_after(start as usize);
        if record.as_slice().len() > MAXIMUM_LINE_BYTES {
            return Err(too_long(line).into());
        }
        let line = list.line(line);
        rows.extend(row_of(&mut columns, &record, line));
    }
    Ok((columns, rows))
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
            let next = bytes.get(self.byte + 1);
            let ends_line = byte == b'\n' || (byte == b'\r' && next != Some(&b'\n'));
            self.line += usize::from(ends_line);
            self.byte += 1;
        }
        self.line
    }
}
