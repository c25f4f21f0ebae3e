//! CSV files with a column `label`.

use csv::{ByteRecord, Position, Reader, ReaderBuilder, StringRecord};

/// The characters that separate columns.
pub(super) const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The first line by which Excel names the delimiter, before the delimiter itself.
const EXCEL_LINE: &str = "sep=";

/// The most bytes of a header.
const MAXIMUM_HEADER_BYTES: usize = 64 << 10;

/// The names of the column of labels.
const LABEL: [&str; 2] = ["label", "labels"];

/// The names of the column of paths.
const PATH: [&str; 2] = ["path", "paths"];

/// A CSV file with a column `label`.
#[derive(Debug)]
pub(super) struct LabelTable<'a> {
    /// The file from its header on.
    text: &'a str,
    lines_before_header: u64,
    delimiter: char,
    /// The number of columns.
    width: usize,
    label: usize,
    path: Option<usize>,
}

/// The columns of a CSV file that say something about labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LabelColumns {
    /// The label of each row, which may be empty.
    pub(super) labels: Vec<String>,
    /// The path of each row, which may be empty; `None` if there is no column `path`.
    pub(super) paths: Option<Vec<String>>,
    /// The number of rows after those.
    pub(super) uncollected: usize,
}

impl<'a> LabelTable<'a> {
    /// Returns the table; `None` if its header has no column `label` with any delimiter.
    ///
    /// Excel's line `sep=;` names the delimiter. Without it, the delimiter is the one with which the header has
    /// a column `label` and the most columns.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (named, text, lines_before_header) = match excel_line(text) {
            Some((delimiter, rest)) => (Some(delimiter), rest, 1),
            None => (None, text, 0),
        };
        let mut best: Option<Self> = None;
        for delimiter in DELIMITERS {
            if named.is_some_and(|named| named != delimiter) {
                continue;
            }
            let header = header(text, delimiter);
            let Some(label) = header.iter().position(|name| is_label(name)) else {
                continue;
            };
            if best.as_ref().is_none_or(|best| best.width < header.len()) {
                best = Some(Self {
                    text,
                    lines_before_header,
                    delimiter,
                    width: header.len(),
                    label,
                    path: header.iter().position(|name| is_one_of(name, PATH)),
                });
            }
        }
        best
    }

    /// Returns the values of the columns `label` and `path` in the first `count` rows and one more, and the
    /// number of the other rows.
    ///
    /// # Errors
    /// If a row has no column `label` or more columns than the header, with what to do.
    pub(super) fn read(&self, count: usize) -> Result<LabelColumns, String> {
        if self.width == 1 {
            refuse_empty_lines(self.text, self.lines_before_header as usize)?;
        }
        let mut columns = LabelColumns {
            paths: self.path.map(|_| Vec::new()),
            ..LabelColumns::default()
        };
        let mut reader = reader(self.text.as_bytes(), self.delimiter, true);
        let mut row = StringRecord::new();
        while reader
            .read_record(&mut row)
            .map_err(|error| format!("it is not a CSV file ({error})"))?
        {
            if columns.labels.len() > count {
                columns.uncollected += 1;
                continue;
            }
            let line = self.lines_before_header + row.position().map_or(0, Position::line);
            if row.iter().skip(self.width).any(|value| !value.is_empty()) {
                return Err(format!(
                    "line {line} has {} columns, and the header has {}; quote values in which the delimiter \
                     `{}` occurs",
                    row.len(),
                    self.width,
                    self.delimiter.escape_default()
                ));
            }
            let value = |column: usize| row.get(column).map(|value| value.trim().to_string());
            let Some(label) = value(self.label) else {
                return Err(format!(
                    "line {line} has no value in the column label; add it"
                ));
            };
            columns.labels.push(label);
            if let (Some(paths), Some(path)) = (&mut columns.paths, self.path) {
                paths.push(value(path).unwrap_or_default());
            }
        }
        Ok(columns)
    }
}

/// Whether a column with this name has the labels.
pub(super) fn is_label(name: &str) -> bool {
    is_one_of(name, LABEL)
}

fn is_one_of(name: &str, names: [&str; 2]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Checks that no line is empty.
///
/// # Errors
/// The first empty line, with what to do. `lines_before` are the lines before `text` in its file.
pub(super) fn refuse_empty_lines(text: &str, lines_before: usize) -> Result<(), String> {
    match text.lines().position(|line| line.trim().is_empty()) {
        Some(line) => Err(format!(
            "line {} is empty; write -1 for a row without a class",
            lines_before + line + 1
        )),
        None => Ok(()),
    }
}

/// Returns the delimiter that Excel's first line names, and the text after that line.
fn excel_line(text: &str) -> Option<(char, &str)> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_matches(['\r', ' ', '"']);
    let (key, delimiter) = first.split_at_checked(EXCEL_LINE.len())?;
    let mut delimiters = DELIMITERS.into_iter();
    let delimiter = delimiters.find(|known| delimiter.chars().eq([*known]))?;
    key.eq_ignore_ascii_case(EXCEL_LINE)
        .then_some((delimiter, rest))
}

/// Returns the names of the columns.
fn header(text: &str, delimiter: char) -> Vec<String> {
    let start = &text.as_bytes()[..text.len().min(MAXIMUM_HEADER_BYTES)];
    let mut header = ByteRecord::new();
    // Reading bytes from memory does not fail.
    let _ = reader(start, delimiter, false).read_byte_record(&mut header);
    let name = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        // A space before a quote makes the quote a part of the name.
        name.trim().trim_matches('"').to_string()
    };
    header.iter().map(name).collect()
}

fn reader(text: &[u8], delimiter: char, has_headers: bool) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .flexible(true)
        .has_headers(has_headers)
        .from_reader(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, count: usize) -> LabelColumns {
        LabelTable::of(text).unwrap().read(count).unwrap()
    }

    #[test]
    fn delimiters_in_quotes_are_part_of_a_name() {
        for text in [
            "\"path, relative\",label,split\na.png,3,train\n",
            "split;\"path; relative\";label\ntrain;a.png;3\n",
            "\"a;label;b\",label\ntrain,3\n",
            "x,y|label\n1,2|3\n",
            "path\tlabel\na.png\t3\n",
            "path, \"label\"\na.png, 3\n",
        ] {
            assert_eq!(read(text, 1).labels, ["3"], "{text}");
        }
        for text in ["", "path,class\n", "\"path,label\"\n", "a label,b\n"] {
            assert!(LabelTable::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn line_of_excel_names_the_delimiter() {
        for text in [
            "sep=;\r\nlabel;a,b\r\n3;1,2\r\n",
            "\"sep=;\"\nlabel;x,label\n3;y,4\n",
            "SEP=|\nlabel\n3\n",
        ] {
            assert_eq!(read(text, 1).labels, ["3"], "{text}");
        }
        let table = LabelTable::of("sep=;\nlabel;path\n3;a;b\n").unwrap();
        assert_eq!(
            table.read(1).unwrap_err(),
            "line 3 has 3 columns, and the header has 2; quote values in which the delimiter `;` occurs"
        );
    }

    #[test]
    fn rows_with_other_numbers_of_columns_do_not_move_the_labels() {
        let table = LabelTable::of("path,label\na, b.png,3\n").unwrap();
        let message = table.read(1).unwrap_err();
        assert!(
            message.starts_with("line 2 has 3 columns, and the header has 2"),
            "{message}"
        );
        // A delimiter at the end of the line.
        assert_eq!(read("path,label\na.png,3,\n", 1).labels, ["3"]);
    }

    #[test]
    fn rows_after_one_more_than_needed_are_counted_only() {
        let text = format!("path,label\n{}", "a.png,3\n".repeat(10));
        let found = read(&text, 2);
        assert_eq!(found.labels, ["3"; 3]);
        assert_eq!(found.paths, Some(vec!["a.png".to_string(); 3]));
        assert_eq!(found.uncollected, 7);
    }
}
