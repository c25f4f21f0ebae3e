//! Text files that list images, classes or labels.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::list_error::ListError;
use crate::bounded_read::{GIB, read_at_most, size};
use crate::data::list_line::ListLine;
use crate::shorten::shorten;

/// Windows editors put this before the text.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// The most bytes of a list.
const MAXIMUM_LIST_BYTES: u64 = GIB;
/// The most bytes of a line, or of a CSV file's row in several lines.
pub(super) const MAXIMUM_LINE_BYTES: usize = 64 * 1024;
/// The most bytes of a path or a label. Linux has the same limit on paths.
const MAXIMUM_WORD_BYTES: usize = 4096;

/// A text file that lists images, classes or labels.
#[derive(Debug)]
pub(super) struct ListFile {
    path: Arc<Path>,
    text: String,
}

impl ListFile {
    /// Reads the list `path`. `hint` says where to get it.
    ///
    /// # Errors
    /// [`ListError::Missing`], [`ListError::Unreadable`], or [`ListError::Invalid`] if it is not text or
    /// has a line of more than 64 KiB.
    pub(super) fn read(path: &Path, hint: &'static str) -> Result<Self, ListError> {
        Self::parse(path, read_bytes(path, MAXIMUM_LIST_BYTES, hint)?)
    }

    /// Parses the contents of the list `path`.
    ///
    /// # Errors
    /// [`ListError::Invalid`] if it is not text or has a line of more than 64 KiB.
    pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ListError> {
        if let Some(reason) = other_kind(&bytes) {
            return Err(ListError::invalid(path, reason));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to() + 1;
            let reason =
                format!("is not UTF-8 text (byte {byte}); save it as UTF-8 or download it again");
            ListError::invalid(path, reason)
        })?;
        let too_long = |line: &str| line.len() > MAXIMUM_LINE_BYTES;
        let first_too_long = lines_of(&text).position(too_long);
        if let Some(line) = first_too_long {
            let reason = format!(
                "has a line {} of more than 64 KiB, the most that is read; is it another kind of file?",
                line + 1
            );
            return Err(ListError::invalid(path, reason));
        }
        Ok(Self {
            path: path.into(),
            text,
        })
    }

    /// Returns its text without a byte order mark.
    pub(super) fn text(&self) -> &str {
        self.text
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&self.text)
    }

    /// Returns line `number`, from 1.
    pub(super) fn line(&self, number: usize) -> ListLine {
        ListLine {
            list: Arc::clone(&self.path),
            number,
        }
    }

    /// Returns the lines that are not empty, without surrounding white space.
    pub(super) fn lines(&self) -> impl Iterator<Item = (ListLine, &str)> {
        lines_of(self.text())
            .enumerate()
            .map(|(index, text)| (self.line(index + 1), text.trim()))
            .filter(|(_, text)| !text.is_empty())
    }

    /// Returns the error of a list with the wrong format or contents.
    pub(super) fn invalid(&self, reason: impl Into<String>) -> ListError {
        ListError::invalid(&self.path, reason)
    }
}

/// Splits a text into lines, which end with `\n`, `\r\n`, or the `\r` of Excel's "CSV (Macintosh)".
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split('\n');
    lines.flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Returns what a file is that is no list but may contain one, and what to do about it.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 5] = [
        (b"\xff\xfe", UTF_16),
        (b"\xfe\xff", UTF_16),
        (
            b"PK\x03\x04",
            "is a spreadsheet or a zip archive; save the table as CSV UTF-8, or unpack the archive",
        ),
        (
            b"\xd0\xcf\x11\xe0",
            "is a spreadsheet; save the table as CSV UTF-8",
        ),
        (b"PAR1", "is a Parquet file; write the table as CSV"),
    ];
    let known = KINDS.iter().find(|(start, _)| bytes.starts_with(start));
    match known {
        Some((_, reason)) => Some(reason),
        None if bytes.contains(&0) => Some(
            "contains zero bytes, as UTF-16 text and damaged files do; save it as UTF-8 or download it again",
        ),
        None => None,
    }
}

const UTF_16: &str =
    "is UTF-16 text, which Excel calls Unicode text; save it as UTF-8, in Excel as CSV UTF-8";

/// Reads a file of the dataset, which has at most `limit` bytes. `hint` says where to get it.
///
/// # Errors
/// [`ListError::Missing`], [`ListError::Unreadable`], or [`ListError::Invalid`] if it is larger.
pub(super) fn read_bytes(
    path: &Path,
    limit: u64,
    hint: &'static str,
) -> Result<Vec<u8>, ListError> {
    read_at_most(path, limit).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ListError::Missing {
            path: path.into(),
            hint,
        },
        ErrorKind::FileTooLarge => ListError::invalid(
            path,
            format!(
                "is larger than {}, the most that is read; {hint}",
                size(limit)
            ),
        ),
        _ => ListError::unreadable(path, &error),
    })
}

/// Splits a line into `N` words, the columns named `columns`.
///
/// # Errors
/// [`ListError::Row`] if it has more or fewer words, or a word of more than 4,096 bytes.
pub(super) fn words<'a, const N: usize>(
    text: &'a str,
    columns: [&str; N],
) -> Result<[&'a str; N], ListError> {
    let found: Vec<&str> = text.split_whitespace().collect();
    let words = <[&str; N]>::try_from(found).map_err(|found| {
        ListError::row(format!(
            "{} column(s) instead of {N} ({}); restore the line from the archive",
            found.len(),
            columns.join(", ")
        ))
    })?;
    for (word, column) in words.iter().zip(columns) {
        check_length(word, column)?;
    }
    Ok(words)
}

/// Refuses a value of more than 4,096 bytes in the column named `column`.
///
/// # Errors
/// [`ListError::Row`].
pub(super) fn check_length(value: &str, column: &str) -> Result<(), ListError> {
    match value.len() <= MAXIMUM_WORD_BYTES {
        true => Ok(()),
        false => Err(ListError::row(format!(
            "the {column} has {} bytes, but at most {MAXIMUM_WORD_BYTES} are read; shorten it or remove \
             the line",
            value.len()
        ))),
    }
}

/// Parses a whole number in the column named `column`.
///
/// # Errors
/// [`ListError::Row`] if it is not a whole number.
pub(super) fn number(text: &str, column: &str) -> Result<usize, ListError> {
    text.parse().map_err(|_| {
        ListError::row(format!(
            "{column} is {:?} but must be a whole number; restore the line from the archive",
            shorten(text)
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn read(bytes: &[u8]) -> Result<ListFile, ListError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("list.txt");
        fs::write(&path, bytes).unwrap();
        ListFile::read(&path, "unpack the archive")
    }

    #[test]
    fn byte_order_marks_carriage_returns_and_empty_lines_are_ignored() {
        let list = read(b"\xef\xbb\xbf1 a\r\n\r\n  2 b").unwrap();
        let lines: Vec<(usize, &str)> = list.lines().map(|(l, text)| (l.number, text)).collect();
        assert_eq!(lines, [(1, "1 a"), (3, "2 b")]);
    }

    #[test]
    fn missing_lists_and_invalid_bytes_are_reported_with_a_hint() {
        let error = ListFile::read(Path::new("/nowhere/list.txt"), "unpack the archive");
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with("list.txt is missing; unpack the archive"));
        let message = read(b"1 a\n\xff\xfe").unwrap_err().to_string();
        assert!(message.contains("is not UTF-8 text (byte 5)"), "{message}");
    }

    #[test]
    fn other_files_are_recognised_and_the_message_says_how_to_save_a_list() {
        let utf_16 = |text: &str, swap: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            let bytes = units.map(|unit| {
                if swap {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            });
            bytes.flatten().collect()
        };
        for (bytes, expected) in [
            (utf_16("\u{feff}path", false), "is UTF-16 text"),
            (utf_16("\u{feff}path", true), "is UTF-16 text"),
            (utf_16("path", false), "contains zero bytes, as UTF-16"),
            (b"PK\x03\x04...".to_vec(), "is a spreadsheet or a zip"),
            (b"\xd0\xcf\x11\xe0\xa1".to_vec(), "is a spreadsheet"),
            (b"PAR1\x15\x04".to_vec(), "is a Parquet file"),
        ] {
            let message = read(&bytes).unwrap_err().to_string();
            assert!(
                message.contains(&format!("list.txt {expected}")),
                "{message}"
            );
            assert!(
                message.contains("UTF-8") || message.contains("as CSV"),
                "{message}"
            );
        }
    }

    #[test]
    fn long_lines_words_and_numbers_are_refused_with_short_messages() {
        let longest = "a".repeat(MAXIMUM_LINE_BYTES);
        read(format!("1 a\n{longest}").as_bytes()).unwrap();
        let message = read(format!("1 a\n{longest}a\n").as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("has a line 2 of more than 64 KiB"),
            "{message}"
        );
        let long = "x".repeat(MAXIMUM_WORD_BYTES + 1);
        let message = words(&long, ["path"]).unwrap_err().to_string();
        assert!(message.starts_with("the path has 4097 bytes"), "{message}");
        let message = number(&long, "class_id").unwrap_err().to_string();
        assert!(message.len() < 400, "{message}");
        assert!(message.contains("(4097 bytes)"), "{message}");
    }

    #[test]
    fn lines_end_with_either_or_both_signs() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a/0.jpg", "", " a/1.jpg", "b/0.jpg", ""].join(end);
            let list = read(text.as_bytes()).unwrap();
            let lines: Vec<_> = list
                .lines()
                .map(|(line, text)| (line.number, text))
                .collect();
            assert_eq!(
                lines,
                [(1, "a/0.jpg"), (3, "a/1.jpg"), (4, "b/0.jpg")],
                "{end:?}"
            );
            let long = text.repeat(10_000);
            read(long.as_bytes()).unwrap();
            let long = format!("a{end}b{end}{}", "c".repeat(MAXIMUM_LINE_BYTES + 1));
            let message = read(long.as_bytes()).unwrap_err().to_string();
            assert!(
                message.contains("has a line 3 of more than 64 KiB"),
                "{end:?}: {message}"
            );
        }
        let mixed: Vec<&str> = lines_of("a\r\r\nb\n\rc").collect();
        assert_eq!(mixed, ["a", "", "b", "", "c"]);
    }

    #[cfg(unix)]
    #[test]
    fn endless_list_is_refused() {
        let error = read_bytes(Path::new("/dev/zero"), 1 << 20, "unpack it").unwrap_err();
        let message = error.to_string();
        assert!(
            message.ends_with("is larger than 1 MiB, the most that is read; unpack it"),
            "{message}"
        );
    }

    #[test]
    fn columns_are_counted_and_numbers_named() {
        assert_eq!(words("1  x ", ["id", "path"]).unwrap(), ["1", "x"]);
        let message = words("1 x y", ["id", "path"]).unwrap_err().to_string();
        assert!(
            message.starts_with("3 column(s) instead of 2 (id, path)"),
            "{message}"
        );
        let message = number("-1", "class_id").unwrap_err().to_string();
        assert!(message.starts_with("class_id is \"-1\""), "{message}");
    }
}
