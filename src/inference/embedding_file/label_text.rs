//! Labels in a text: one for each line, or the column `label` of a CSV file.

use super::labels::Labels;
use crate::shorten::shorten;

/// The separators of columns.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// Returns the labels of `count` rows. They are numbers if every one is an integer as a program writes it, and
/// names otherwise: `007` and `7` are two names. An empty value of a CSV file is a row without a class.
///
/// # Errors
/// Why the text is not understood, with what to do.
pub(super) fn parse(bytes: &[u8], count: usize) -> Result<Labels, String> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        format!("line {line} is not UTF-8; save labels as .npy, or as UTF-8 text with one label for each row")
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let column = SEPARATORS.iter().find_map(|&separator| {
        let mut names = first.split(separator);
        let column = names.position(|name| is_label(name.trim().trim_matches('"')))?;
        (first.contains(separator)).then_some((separator, column))
    });
    let values = match column {
        Some((separator, column)) => column_of(text, separator, column)?,
        None => lines(text, count)?,
    };
    let numbers: Option<Vec<i64>> = values.iter().map(|value| integer(value)).collect();
    Ok(match numbers {
        Some(numbers) => Labels::from_numbers(numbers),
        None => Labels::from_names(&values),
    })
}

/// Whether a column with this name has the labels.
fn is_label(name: &str) -> bool {
    name.eq_ignore_ascii_case("label") || name.eq_ignore_ascii_case("labels")
}

fn integer(value: &str) -> Option<i64> {
    let number: i64 = value.parse().ok()?;
    (number.to_string() == value).then_some(number)
}

/// The values of one column, the first line excepted.
fn column_of(text: &str, separator: char, column: usize) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator as u8)
        .flexible(true)
        .from_reader(text.as_bytes());
    let record = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(|error| format!("it is not a CSV file ({error})"))?;
        let value = record.get(column).map(|value| value.trim().to_string());
        value.ok_or_else(|| {
            let line = record.position().map_or(0, csv::Position::line);
            format!("line {line} has no value in the column label; add it")
        })
    };
    reader.records().map(record).collect()
}

/// The lines, without a first line that is a heading.
fn lines(text: &str, count: usize) -> Result<Vec<String>, String> {
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    if lines.len() == count + 1 && is_label(lines[0]) {
        lines.remove(0);
    }
    for (number, line) in lines.iter().enumerate() {
        let number = number + 1;
        if line.is_empty() {
            return Err(format!(
                "line {number} is empty; write -1 for a row without a class"
            ));
        }
        if line.contains(SEPARATORS) {
            return Err(format!(
                "line {number} is `{}`, and its first line does not name a column label; write one label in \
                 each line, or a first line such as path,label",
                shorten(line)
            ));
        }
    }
    Ok(lines.into_iter().map(String::from).collect())
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
        // A class may be called label.
        assert_eq!(names("label\nother\n", 2).0, [0, 1]);
    }

    #[test]
    fn texts_that_are_not_understood_name_the_line() {
        for (text, reason) in [
            (&b"1\n\n2\n"[..], "line 2 is empty"),
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
