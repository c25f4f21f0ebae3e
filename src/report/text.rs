//! Numbers and names as text.

use std::path::Path;

use crate::escape::{escaped, path_with_bytes};

/// The most characters of a name.
const NAME: usize = 80;

/// A share as a percentage: `92.8 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// An interval of shares: `91.0 to 94.2 %`.
pub(super) fn percent_interval([low, high]: [f64; 2]) -> String {
    format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)
}

/// A difference of shares in points, with its sign: `+1.3`.
pub(super) fn points(difference: f64) -> String {
    let points = 100.0 * difference;
    // Not "-0.0".
    match points.abs() < 0.05 {
        true => "0.0".to_string(),
        false => format!("{points:+.1}").replace('-', "\u{2212}"),
    }
}

/// A count with separators: `60,502`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration: `0.08 s`, `45 s`, `12 min`, `2 h 5 min`.
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as usize;
    match seconds {
        ..9.95 => format!("{seconds:.2} s"),
        ..90.0 => format!("{seconds:.0} s"),
        _ if minutes < 60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// A name of a file or class without characters that are not shown as themselves; of a long one the end, by
/// which files differ.
pub(super) fn name(text: &str) -> String {
    let text = escaped(text).to_string();
    let length = text.chars().count();
    match length <= NAME {
        true => text,
        false => {
            let end: String = text.chars().skip(length - NAME + 1).collect();
            format!("…{end}")
        }
    }
}

/// A path.
pub(super) fn path(path: &Path) -> String {
    escaped(&path_with_bytes(path)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(percent(0.928_125), "92.8 %");
        let differences = [0.013, -0.013, 0.0001, -0.0001, 0.0].map(points);
        assert_eq!(differences, ["+1.3", "−1.3", "0.0", "0.0", "0.0"]);
        assert_eq!(
            [0, 999, 1_000, 60_502].map(count),
            ["0", "999", "1,000", "60,502"]
        );
        let durations = [0.084, 45.2, 89.0, 150.0, 7500.0].map(duration);
        assert_eq!(durations, ["0.08 s", "45 s", "89 s", "3 min", "2 h 5 min"]);
    }

    #[test]
    fn long_names_keep_their_end_and_directions_are_escaped() {
        let long = format!("{}/1.jpg", "é".repeat(200));
        assert_eq!(name(&long).chars().count(), 80);
        assert!(name(&long).starts_with('…') && name(&long).ends_with("é/1.jpg"));
        assert_eq!(name("a\u{202e}b"), "a\\u{202e}b");
    }
}
