//! Text from files, folders and arguments, made harmless for a terminal.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::path::Path;

/// Displays `text` with every character that a terminal would act on as `\u{…}`: control characters,
/// line breaks among them, and characters that change the direction of the text.
///
/// Use it where a name is part of a text of several lines. A single line is escaped as a whole when it
/// is printed.
pub(crate) fn escaped(text: &str) -> impl Display {
    Escaped {
        text,
        keep: |_| false,
    }
}

/// As [`escaped`], but line breaks stay.
pub(crate) fn escaped_lines(text: &str) -> impl Display {
    Escaped {
        text,
        keep: |c| c == '\n',
    }
}

/// Returns JSON text with the same characters as JSON's `\uXXXX`. In valid JSON they are inside strings
/// only, except line breaks, which stay.
pub(crate) fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_harmful(c) {
            write!(escaped, "\\u{:04x}", u32::from(c)).expect("a string can be written");
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns a path as text. Bytes that are not UTF-8 are shown as `\xe9`, so that two paths are never shown
/// as the same.
pub(crate) fn path_with_bytes(path: &Path) -> Cow<'_, str> {
    if let Some(text) = path.to_str() {
        return text.into();
    }
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string can be written");
        }
    }
    text.into()
}

/// Whether a terminal acts on `c` instead of showing it. All such characters are below U+10000.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

struct Escaped<'a> {
    text: &'a str,
    /// Harmful characters that stay.
    keep: fn(char) -> bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        while let Some(at) = rest.find(|c| is_harmful(c) && !(self.keep)(c)) {
            f.write_str(&rest[..at])?;
            let harmful = rest[at..].chars().next().expect("a character was found");
            write!(f, "{}", harmful.escape_unicode())?;
            rest = &rest[at + harmful.len_utf8()..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\nb\u{202e}c\u{9b}d\u{2066}";

    #[test]
    fn terminal_codes_line_breaks_and_directions_are_escaped() {
        assert_eq!(
            escaped(HOSTILE).to_string(),
            r"a\u{1b}[2J\u{a}b\u{202e}c\u{9b}d\u{2066}"
        );
        assert_eq!(
            escaped_lines(HOSTILE).to_string(),
            "a\\u{1b}[2J\nb\\u{202e}c\\u{9b}d\\u{2066}"
        );
    }

    #[test]
    fn other_text_is_unchanged() {
        let text = "größer 漢字 👩‍🔬 \"C:\\photos\" 5 %";
        assert_eq!(escaped(text).to_string(), text);
        assert_eq!(escaped_json(text), text);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_of_a_path_that_are_not_utf8_are_shown() {
        use std::os::unix::ffi::OsStrExt;
        let text = |bytes| {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
            path_with_bytes(path).into_owned()
        };
        assert_eq!(text(b"a/caf\xe9/1.jpg"), r"a/caf\xe9/1.jpg");
        assert_eq!(text("a/café".as_bytes()), "a/café");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let json = serde_json::to_string(&[HOSTILE]).unwrap();
        let escaped = escaped_json(&json);
        assert!(
            !escaped.contains(['\u{202e}', '\u{9b}', '\u{2066}']),
            "{escaped}"
        );
        let read: Vec<String> = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read, [HOSTILE]);
    }
}
