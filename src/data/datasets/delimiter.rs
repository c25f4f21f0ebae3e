//! What separates the columns of a CSV file: commas, semicolons, tabs or vertical bars.

use csv::{ByteRecord, ReaderBuilder};

use super::list_file::{MAXIMUM_LINE_BYTES, lines_of};

/// The first line by which Excel names the delimiter, before the delimiter itself.
const EXCEL_LINE: &str = "sep=";

/// The character between the columns of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// A comma.
    Comma,
    /// A semicolon, which Excel writes where numbers have a decimal comma.
    Semicolon,
    /// A tab.
    Tab,
    /// A vertical bar.
    Bar,
}

impl Delimiter {
    /// All delimiters. If a header has no column `path` with any, the first one with the most columns is used.
    pub(super) const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// Returns the delimiter of the table `text`, and the bytes and lines before its header.
    ///
    /// Excel's line `sep=;` names the delimiter. Without it, the delimiter is the one with which the header has a
    /// column `path`, or else the most columns.
    pub(super) fn detect(text: &str) -> (Self, Start) {
        let first = lines_of(text).next().unwrap_or_default();
        let named = first.trim_matches([' ', '"']);
        if let Some(prefix) = named.get(..EXCEL_LINE.len())
            && prefix.eq_ignore_ascii_case(EXCEL_LINE)
            && let Some(delimiter) = Self::ALL
                .into_iter()
                .find(|delimiter| named.as_bytes()[EXCEL_LINE.len()..] == [delimiter.byte()])
        {
            let mut ends = ["\r\n", "\n", "\r"].into_iter();
            let end = ends.find(|end| text[first.len()..].starts_with(end));
            let bytes = first.len() + end.map_or(0, str::len);
            return (delimiter, Start { bytes, lines: 1 });
        }
        let mut best = (Self::Comma, (false, 0));
        for delimiter in Self::ALL {
            let score = delimiter.score(text);
            if score > best.1 {
                best = (delimiter, score);
            }
        }
        (best.0, Start { bytes: 0, lines: 0 })
    }

    /// Returns whether the header has a column `path` with this delimiter, and the number of its columns.
    fn score(self, text: &str) -> (bool, usize) {
        let head = &text.as_bytes()[..text.len().min(MAXIMUM_LINE_BYTES)];
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(self.byte())
            .from_reader(head);
        let mut header = ByteRecord::new();
        // Reading bytes from memory does not fail.
        let _ = reader.read_byte_record(&mut header);
        let is_path = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(b"path");
        (header.iter().any(is_path), header.len())
    }

    /// Returns the character.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// Returns the plural of its name.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Comma => "commas",
            Self::Semicolon => "semicolons",
            Self::Tab => "tabs",
            Self::Bar => "vertical bars",
        }
    }
}

/// The bytes and lines before the header of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Bytes.
    pub(super) bytes: usize,
    /// Lines.
    pub(super) lines: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_yields_a_column_path() {
        for (text, expected) in [
            ("path,label\n", Delimiter::Comma),
            ("path\n", Delimiter::Comma),
            ("label;path\na;b,c,d\n", Delimiter::Semicolon),
            ("PATH \tlabel\n", Delimiter::Tab),
            ("a,b|path|c,d,e\n", Delimiter::Bar),
            ("\"path\";\"a, b, c\"\n", Delimiter::Semicolon),
            ("\r\n\r\npath;label", Delimiter::Semicolon),
            // Without a column path, messages name the most columns.
            ("file;label;x,y\n", Delimiter::Semicolon),
            ("", Delimiter::Comma),
        ] {
            let start = Start { bytes: 0, lines: 0 };
            assert_eq!(Delimiter::detect(text), (expected, start), "{text}");
        }
    }

    #[test]
    fn line_of_excel_names_the_delimiter() {
        for text in [
            "sep=;\r\npath;label",
            "\"sep=;\"\npath;label",
            "sep=;\rpath;label",
        ] {
            let (delimiter, start) = Delimiter::detect(text);
            assert_eq!(delimiter, Delimiter::Semicolon);
            assert_eq!(start.lines, 1);
            assert_eq!(&text[start.bytes..], "path;label");
        }
        let (delimiter, start) = Delimiter::detect("sep=\t");
        assert_eq!((delimiter, start.bytes), (Delimiter::Tab, 5));
    }
}
