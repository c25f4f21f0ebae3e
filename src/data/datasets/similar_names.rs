//! Names that differ in ways that people and systems do not notice: letter case, Unicode form (`é` is one
//! character or two), leading zeros, surrounding white space.

use std::collections::HashMap;
use std::ffi::OsStr;

use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd};

use super::error::DatasetError;
use super::index::{DatasetIndex, Subset};
use crate::data::split::{SplitError, in_prose};

/// A way in which names differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    LetterCase,
    UnicodeForm,
    LeadingZeros,
    WhiteSpace,
}

/// All differences, with their names.
const DIFFERENCES: [(Difference, &str); 4] = [
    (Difference::LetterCase, "letter case"),
    (Difference::UnicodeForm, "Unicode form"),
    (Difference::LeadingZeros, "leading zeros"),
    (Difference::WhiteSpace, "surrounding white space"),
];

/// Returns `name` without these differences.
fn without(name: &str, differences: &[Difference]) -> String {
    let mut name = name.to_string();
    for difference in differences {
        name = match difference {
            Difference::LetterCase => name.to_lowercase(),
            Difference::UnicodeForm => name.nfc().collect(),
            Difference::LeadingZeros => without_leading_zeros(&name),
            Difference::WhiteSpace => name.trim().to_string(),
        };
    }
    name
}

/// Removes the zeros at the start of each whole number. Digits after a point are a fraction.
fn without_leading_zeros(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let starts_number =
            !kept.ends_with(|before: char| before.is_ascii_digit() || before == '.');
        let more_digits = rest.peek().is_some_and(char::is_ascii_digit);
        if c != '0' || !starts_number || !more_digits {
            kept.push(c);
        }
    }
    kept
}

/// Returns the classes of all splits whose names differ only in what people do not notice: each with the
/// first class of nearly the same name.
pub(crate) fn similar_classes(index: &DatasetIndex) -> Vec<DatasetError> {
    // The names of a published dataset are what they are.
    if index.published.is_some() {
        return Vec::new();
    }
    let all = DIFFERENCES.map(|(difference, _)| difference);
    let classes = Subset::ALL.into_iter().flat_map(|subset| {
        let classes = index.classes(subset).iter();
        classes.map(move |class| (class.name.as_str(), subset))
    });
    let mut first_by_key: HashMap<String, (&str, Subset)> = HashMap::new();
    let mut similar = Vec::new();
    for (name, subset) in classes {
        let first = *first_by_key
            .entry(without(name, &all))
            .or_insert((name, subset));
        if first.0 != name {
            similar.push(similarity(first, (name, subset)).into());
        }
    }
    similar
}

fn similarity(first: (&str, Subset), second: (&str, Subset)) -> SplitError {
    let differs = |difference: Difference| {
        let others: Vec<Difference> = DIFFERENCES
            .map(|(other, _)| other)
            .into_iter()
            .filter(|&other| other != difference)
            .collect();
        without(first.0, &others) != without(second.0, &others)
    };
    let found: Vec<&str> = DIFFERENCES
        .into_iter()
        .filter(|&(difference, _)| differs(difference))
        .map(|(_, name)| name)
        .collect();
    let forms = differs(Difference::UnicodeForm);
    let described = |(name, subset): (&str, Subset)| {
        format!("{} ({})", quoted(name, forms), in_prose(subset.name()))
    };
    SplitError::SimilarClasses {
        first: described(first),
        second: described(second),
        difference: found.join(" and "),
    }
}

/// Returns the name in quotation marks. Two Unicode forms look the same, so `code_points` shows them.
fn quoted(name: &str, code_points: bool) -> String {
    if !code_points {
        return format!("{name:?}");
    }
    let shown = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => c.escape_unicode().to_string(),
    };
    format!("\"{}\"", name.chars().map(shown).collect::<String>())
}

/// Returns what is equal for the names of files that differ in letter case and Unicode form only. The bytes
/// of a name that is not UTF-8 are read as Latin-1, the most common cause.
pub(super) fn file_key(name: &OsStr) -> String {
    let text = match name.to_str() {
        Some(text) => text.to_string(),
        None => {
            let bytes = name.as_encoded_bytes().iter();
            bytes.map(|&byte| char::from(byte)).collect()
        }
    };
    let folded = without(&text, &[Difference::UnicodeForm, Difference::LetterCase]);
    folded.nfc().collect()
}

/// Returns how the name of an existing file differs from that in a list, and what to do about it.
pub(super) fn file_difference(listed: &str, found: &OsStr) -> String {
    let Some(found) = found.to_str() else {
        return "whose name is not UTF-8? rename it, for example with convmv".into();
    };
    let composed = |name: &str| name.nfc().collect::<String>();
    let forms = match (is_nfc(listed), is_nfd(listed), is_nfc(found), is_nfd(found)) {
        (true, false, _, true) => {
            "in decomposed Unicode form (NFD) instead of the list's composed one (NFC)"
        }
        (_, true, true, false) => {
            "in composed Unicode form (NFC) instead of the list's decomposed one (NFD)"
        }
        _ => "in another Unicode form",
    };
    if composed(listed) == composed(found) {
        format!("{forms}? rename the file, for example with convmv, or change the list")
    } else if listed.to_lowercase() == found.to_lowercase() {
        "with other letter case? rename the file, or change the list".into()
    } else {
        format!("with other letter case and {forms}? rename the file, or change the list")
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::ClassEntries;
    use super::*;

    fn similar(train: &[&str], test: &[&str]) -> Vec<String> {
        let classes = |names: &[&str]| {
            let class = |name: &&str| ClassEntries {
                name: (*name).into(),
                images: Vec::new(),
            };
            names.iter().map(class).collect()
        };
        let index = DatasetIndex {
            train: classes(train),
            test: classes(test),
            ..DatasetIndex::default()
        };
        let found = similar_classes(&index);
        assert!(found.iter().all(DatasetError::is_warning));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_classes_and_their_difference_are_named() {
        for (first, second, expected) in [
            (
                "Cat",
                "cat",
                r#""Cat" (training) and "cat" (test) differ only in letter case"#,
            ),
            (
                "0031",
                "31",
                r#""0031" (training) and "31" (test) differ only in leading zeros"#,
            ),
            ("class_01", "class_1", "leading zeros"),
            (
                "cat",
                " cat",
                r#""cat" (training) and " cat" (test) differ only in surrounding white space"#,
            ),
            (
                "caf\u{e9}",
                "cafe\u{301}",
                r#""caf\u{e9}" (training) and "cafe\u{301}" (test) differ only in Unicode form"#,
            ),
            ("Cat 07", "cat 7", "letter case and leading zeros"),
        ] {
            let found = similar(&[first], &[second]);
            assert_eq!(found.len(), 1, "{first} {second}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }

    #[test]
    fn a_class_is_compared_with_the_first_of_nearly_the_same_name() {
        let found = similar(&["1", "01", "2"], &["001"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[1].starts_with(r#"classes "1" (training) and "001" (test)"#),
            "{found:?}"
        );
    }

    #[test]
    fn other_classes_are_not_similar() {
        for (first, second) in [
            ("cat", "cats"),
            ("10", "1"),
            ("1.05", "1.5"),
            ("e", "é"),
            ("0", "00a"),
            ("a b", "ab"),
        ] {
            assert_eq!(similar(&[first], &[second]), [""; 0], "{first} {second}");
        }
        assert_eq!(
            similar(&["a"], &["a"]),
            [""; 0],
            "reported as a class in both splits"
        );
    }

    #[test]
    fn leading_zeros_of_every_whole_number_are_removed() {
        for (name, expected) in [
            ("0031", "31"),
            ("000", "0"),
            ("a007b0010", "a7b10"),
            ("100", "100"),
            ("0.05", "0.05"),
        ] {
            assert_eq!(without_leading_zeros(name), expected);
        }
    }

    #[test]
    fn files_of_the_same_key_differ_in_case_or_form() {
        let key = |name: &str| file_key(OsStr::new(name));
        assert_eq!(key("CAFE\u{301}.JPG"), key("caf\u{e9}.jpg"));
        assert_ne!(key("01.jpg"), key("1.jpg"));
        let difference = |listed, found| file_difference(listed, OsStr::new(found));
        assert!(
            difference("caf\u{e9}", "cafe\u{301}").starts_with("in decomposed Unicode form (NFD)")
        );
        assert!(
            difference("cafe\u{301}", "caf\u{e9}").starts_with("in composed Unicode form (NFC)")
        );
        assert!(difference("a.jpg", "a.JPG").starts_with("with other letter case?"));
        let both = difference("caf\u{e9}.jpg", "cafe\u{301}.JPG");
        assert!(
            both.starts_with("with other letter case and in decomposed"),
            "{both}"
        );
    }
}
