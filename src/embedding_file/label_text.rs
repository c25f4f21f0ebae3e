//! Labels in a text: one for each line, or the column `label` of a CSV file.

use super::label_table::{DELIMITERS, LabelTable, is_label, refuse_empty_lines};
use super::labels::NO_CLASS;
use super::labels::{Labels, is_without_class};
use crate::shorten::shorten;

/// The most bytes of a line.
const MAXIMUM_LINE_BYTES: usize = 64 << 10;

/// Returns the labels of `count` rows. They are numbers if every one is an integer as a program writes it, and
/// names otherwise: `007` and `7` are two names. A row has no class if its value is `-1`, `-1.0` or, in a CSV
/// file, empty.
///
/// If there are more labels, one more is returned, and the number of the others.
///
/// # Errors
/// Why the text is not understood, with what to do.
pub(super) fn parse(bytes: &[u8], count: usize) -> Result<Labels, String> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        format!("line {line} is not UTF-8; save labels as .npy, or as UTF-8 text with one label for each row")
    })?;
    let text = text.trim_start_matches('\u{feff}');
    // A row of a CSV file takes 8 bytes for each of its columns.
    let long = text
        .lines()
        .position(|line| line.len() > MAXIMUM_LINE_BYTES);
    if let Some(line) = long {
        return Err(format!(
            "line {} has more than {MAXIMUM_LINE_BYTES} bytes; write one label in each line, or a CSV file with \
             one row for each label",
            line + 1
        ));
    }
    match LabelTable::of(text) {
        Some(table) if !starts_with_a_class(text, count) => {
            let columns = table.read(count)?;
            Ok(Labels {
                uncollected: columns.uncollected,
                paths: columns.paths,
                ..labels(&columns.labels)
            })
        }
        _ => {
            let lines = lines(text, count)?;
            Ok(Labels {
                uncollected: text.lines().skip(lines.len()).count(),
                ..labels(&lines)
            })
        }
    }
}

/// Whether a first line `label` is the label of a row, since there are as many lines as rows, and not a header.
fn starts_with_a_class(text: &str, count: usize) -> bool {
    let first = text.lines().next().unwrap_or_default();
    is_label(first.trim()) && text.lines().count() == count
}

fn labels<T: AsRef<str>>(values: &[T]) -> Labels {
    let number = |value: &T| match value.as_ref() {
        value if is_without_class(value) => Some(NO_CLASS),
        value => integer(value),
    };
    let numbers: Option<Vec<i64>> = values.iter().map(number).collect();
    match numbers {
        Some(numbers) => Labels::from_numbers(numbers),
        None => Labels::from_names(values),
    }
}

fn integer(value: &str) -> Option<i64> {
    let number: i64 = value.parse().ok()?;
    (number.to_string() == value).then_some(number)
}

/// The labels of the first `count` lines and of one more.
fn lines(text: &str, count: usize) -> Result<Vec<&str>, String> {
    refuse_empty_lines(text, 0)?;
    let lines: Vec<&str> = text.lines().take(count + 1).map(str::trim).collect();
    let delimited = lines.iter().position(|line| line.contains(DELIMITERS));
    match delimited {
        Some(line) => Err(format!(
            "line {} is `{}`, and its first line does not name a column label; write one label in each line, or \
             a first line such as path,label",
            line + 1,
            shorten(lines[line])
        )),
        None => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_read() {
        let numbers = |text: &str, count| {
            let labels = parse(text.as_bytes(), count).unwrap();
            assert_eq!(labels.classes, None, "{text}");
            labels.numbers
        };
        assert_eq!(numbers("3\n-1\n4", 3), [3, -1, 4]);
        assert_eq!(numbers("\u{feff}label\r\n3\r\n4\r\n", 2), [3, 4]);
        assert_eq!(numbers("path,label\na.png,3\n\"b,c.png\",4\n", 2), [3, 4]);
        assert_eq!(numbers("Label;path\n3;a.png\n4;b.png\n", 2), [3, 4]);
        assert_eq!(numbers("\"label\"\r\n\"3\"\r\n\"\"\r\n", 2), [3, -1]);
        assert_eq!(
            numbers("path\tlabel\na.png\t9223372036854775807\n", 1),
            [i64::MAX]
        );
    }

    #[test]
    fn other_values_are_names() {
        let names = |text: &str, count| {
            let labels = parse(text.as_bytes(), count).unwrap();
            (labels.numbers, labels.classes.expect("they are names"))
        };
        assert_eq!(
            names("b\na\nb\n", 3),
            (vec![1, 0, 1], vec!["a".into(), "b".into()])
        );
        // Two classes, not one.
        assert_eq!(
            names("007\n7\n", 2),
            (vec![0, 1], vec!["007".into(), "7".into()])
        );
        assert_eq!(names("9223372036854775808\n", 1).0, [0]);
        assert_eq!(
            names("path,label\nx,cat\ny,\n", 2),
            (vec![0, -1], vec!["cat".into()])
        );
        assert_eq!(
            names("label\n\"tench, Tinca tinca\"\n", 1),
            (vec![0], vec!["tench, Tinca tinca".into()])
        );
        // A class may be called label.
        assert_eq!(names("label\nother\n", 2).0, [0, 1]);
    }

    #[test]
    fn rows_without_a_class_may_be_written_in_several_ways() {
        let parsed = |text: &str, count| {
            let labels = parse(text.as_bytes(), count).unwrap();
            (labels.numbers, labels.classes)
        };
        // One empty cell does not make names of integers.
        assert_eq!(
            parsed("path,label\na,10\nb,\nc,9\nd,-1.0\n", 4),
            (vec![10, -1, 9, -1], None)
        );
        let classes = Some(vec!["ant".into(), "cat".into()]);
        let numbers = vec![1, -1, 0, -1];
        for text in ["cat\n-1\nant\n-1.0\n", "label,x\ncat,1\n-1,2\nant,3\n,4\n"] {
            assert_eq!(
                parsed(text, 4),
                (numbers.clone(), classes.clone()),
                "{text}"
            );
        }
    }

    #[test]
    fn labels_after_one_more_than_needed_are_counted_only() {
        for text in [
            "7\n".repeat(1000),
            format!("label\n{}", "7\n".repeat(1000)),
            format!("label,x\n{}", "7,\n".repeat(1000)),
        ] {
            let labels = parse(text.as_bytes(), 3).unwrap();
            assert_eq!(labels.numbers, [7; 4]);
            assert_eq!(labels.count(), 1000);
        }
        let labels = parse(b"7\n8\n", 3).unwrap();
        assert_eq!((labels.numbers.len(), labels.count()), (2, 2));
    }

    #[test]
    fn long_lines_are_refused() {
        let text = format!("label\n3\n{}\n", ",".repeat(MAXIMUM_LINE_BYTES + 1));
        let message = parse(text.as_bytes(), 2).unwrap_err();
        assert!(
            message.starts_with("line 3 has more than 65536 bytes"),
            "{message}"
        );
    }

    #[test]
    fn texts_that_are_not_understood_name_the_line() {
        for (text, reason) in [
            (&b"1\n\n2\n"[..], "line 2 is empty"),
            (b"label\n1\n\n2\n", "line 3 is empty; write -1"),
            (b"a.png|3\nb.png|4\n", "line 1 is `a.png|3`"),
            (b"1\ncaf\xe9\n", "line 2 is not UTF-8"),
            (b"a.png,3\nb.png,4\n", "line 1 is `a.png,3`"),
            (
                b"path,label\na.png,3\nb.png\n",
                "line 3 has no value in the column label",
            ),
        ] {
            let message = parse(text, 2).unwrap_err();
            assert!(message.contains(reason), "{message}");
        }
    }
}
