//! Text lists, line by line.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::index::Line;
use crate::data::DataError;

/// What Windows' editors put before the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text file that lists images, classes or labels.
#[derive(Debug)]
pub(super) struct ListFile {
    path: Arc<Path>,
    text: String,
}

impl ListFile {
    /// Reads the list `path`; `hint` says where it is to be had if it is not there.
    ///
    /// # Errors
    /// [`DataError::FileMissing`], [`DataError::Unreadable`], or [`DataError::List`] where it is no
    /// text.
    pub(super) fn read(path: &Path, hint: &'static str) -> Result<Self, DataError> {
        let text = String::from_utf8(read_bytes(path, hint)?).map_err(|error| DataError::List {
            path: path.into(),
            reason: format!(
                "is not UTF-8 text (byte {} of it): save it as UTF-8 or download it again",
                error.utf8_error().valid_up_to() + 1
            ),
        })?;
        Ok(Self {
            path: path.into(),
            text,
        })
    }

    /// Its text without a byte order mark.
    pub(super) fn text(&self) -> &str {
        self.text
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&self.text)
    }

    /// Line `number`, from 1.
    pub(super) fn line(&self, number: usize) -> Line {
        Line {
            list: Arc::clone(&self.path),
            number,
        }
    }

    /// The lines that are not empty, without white space around them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Line, &str)> {
        self.text()
            .lines()
            .enumerate()
            .map(|(index, text)| (self.line(index + 1), text.trim()))
            .filter(|(_, text)| !text.is_empty())
    }

    /// A mistake of the list as a whole.
    pub(super) fn fault(&self, reason: impl Into<String>) -> DataError {
        DataError::List {
            path: self.path.to_path_buf(),
            reason: reason.into(),
        }
    }
}

/// The bytes of a file of the dataset; `hint` says where it is to be had if it is not there.
pub(super) fn read_bytes(path: &Path, hint: &'static str) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => DataError::FileMissing {
            path: path.into(),
            hint,
        },
        _ => DataError::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        },
    })
}

/// A line that cannot be used, and the hint.
pub(super) fn row(reason: impl Into<String>) -> DataError {
    DataError::Row {
        reason: reason.into(),
    }
}

/// The `N` words of a line, whose columns are called `columns`.
///
/// # Errors
/// [`DataError::Row`] when there are more or fewer.
pub(super) fn words<'a, const N: usize>(
    text: &'a str,
    columns: [&str; N],
) -> Result<[&'a str; N], DataError> {
    let found: Vec<&str> = text.split_whitespace().collect();
    <[&str; N]>::try_from(found).map_err(|found| {
        row(format!(
            "{} column(s) where there have to be {N} ({}): restore the line from the archive",
            found.len(),
            columns.join(", ")
        ))
    })
}

/// A whole number of a line, in the column called `column`.
///
/// # Errors
/// [`DataError::Row`] when it is none.
pub(super) fn number(text: &str, column: &str) -> Result<usize, DataError> {
    text.parse().map_err(|_| {
        row(format!(
            "{column} is {text:?} and has to be a whole number: restore the line from the archive"
        ))
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read(bytes: &[u8]) -> Result<ListFile, DataError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("list.txt");
        fs::write(&path, bytes).unwrap();
        ListFile::read(&path, "unpack the archive")
    }

    #[test]
    fn marks_carriage_returns_and_empty_lines_are_passed_over() {
        let list = read(b"\xef\xbb\xbf1 a\r\n\r\n  2 b").unwrap();
        let lines: Vec<(usize, &str)> = list.lines().map(|(l, text)| (l.number, text)).collect();
        assert_eq!(lines, [(1, "1 a"), (3, "2 b")]);
    }

    #[test]
    fn missing_lists_say_where_they_are_to_be_had_and_foreign_bytes_where_they_are() {
        let error = ListFile::read(Path::new("/nowhere/list.txt"), "unpack the archive");
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with("list.txt is missing: unpack the archive"));
        let message = read(b"1 a\n\xff\xfe").unwrap_err().to_string();
        assert!(
            message.contains("is not UTF-8 text (byte 5 of it)"),
            "{message}"
        );
    }

    #[test]
    fn columns_are_counted_and_numbers_named() {
        assert_eq!(words("1  x ", ["id", "path"]).unwrap(), ["1", "x"]);
        let message = words("1 x y", ["id", "path"]).unwrap_err().to_string();
        assert!(
            message.starts_with("3 column(s) where there have to be 2 (id, path)"),
            "{message}"
        );
        let message = number("-1", "class_id").unwrap_err().to_string();
        assert!(message.starts_with("class_id is \"-1\""), "{message}");
    }
}
