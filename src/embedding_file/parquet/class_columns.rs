//! The columns of labels and of classes, which must agree if a table has both.

use std::collections::HashMap;

use super::super::labels::{Labels, is_without_class};
use crate::shorten::shorten;

/// Returns the labels of the rows from the columns `label` and `class`; `None` if there is neither.
///
/// `names` are the names of the classes in the metadata, which the labels index. They are ignored if the column
/// `class` has other names, because another program may have changed the columns.
///
/// # Errors
/// If one label has two classes, or the other way round, with the rows.
pub(super) fn merge(
    label: Option<Labels>,
    class: Option<Labels>,
    names: Option<Vec<String>>,
) -> Result<Option<Labels>, String> {
    let (label, class) = match (label, class) {
        (Some(label), Some(class)) => (label, class),
        (Some(mut labels), None) | (None, Some(mut labels)) => {
            labels.classes = labels.classes.or(names);
            return Ok(Some(labels));
        }
        (None, None) => return Ok(None),
    };
    if let Some(names) = names
        && label.classes.is_none()
        && agree(&names, &label.numbers, &class)
    {
        return Ok(Some(Labels {
            classes: Some(names),
            ..label
        }));
    }
    check_pairs(&label, &class)?;
    Ok(Some(match class.classes {
        Some(_) => class,
        None => label,
    }))
}

/// Checks that each label has one class, and each class one label.
fn check_pairs(label: &Labels, class: &Labels) -> Result<(), String> {
    let mut by_label = HashMap::new();
    let mut by_class = HashMap::new();
    for (row, (&a, &b)) in label.numbers.iter().zip(&class.numbers).enumerate() {
        let first_of_label = *by_label.entry(a).or_insert(row);
        let first_of_class = *by_class.entry(b).or_insert(row);
        for first in [first_of_label, first_of_class] {
            if (label.numbers[first], class.numbers[first]) != (a, b) {
                return Err(format!(
                    "its columns `label` and `class` disagree: row {first} has {} and {}, row {row} has {} and {}; \
                     correct or remove one of the columns",
                    value(label, first),
                    value(class, first),
                    value(label, row),
                    value(class, row)
                ));
            }
        }
    }
    Ok(())
}

/// The value of a row, for messages.
fn value(labels: &Labels, row: usize) -> String {
    let number = labels.numbers[row];
    match &labels.classes {
        None => format!("`{number}`"),
        Some(names) => match name(names, number) {
            "" => "no class".into(),
            name => format!("`{}`", shorten(name)),
        },
    }
}

/// Whether `names` are those of the classes, by their labels.
fn agree(names: &[String], labels: &[i64], class: &Labels) -> bool {
    let Some(classes) = &class.classes else {
        return false;
    };
    let mut rows = labels.iter().zip(&class.numbers);
    rows.all(|(&label, &class)| name(names, label) == name(classes, class))
}

/// The name of a class; empty for a row without one.
fn name(names: &[String], number: i64) -> &str {
    let index = usize::try_from(number).ok();
    let name = index.and_then(|index| names.get(index));
    name.map(String::as_str)
        .filter(|name| !is_without_class(name))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn merged(label: &[i64], class: &[&str], names: &[&str]) -> Result<Labels, String> {
        let label = Labels::from_numbers(label.to_vec());
        let class = Labels::from_names(class);
        merge(Some(label), Some(class), Some(list(names))).map(Option::unwrap)
    }

    #[test]
    fn names_of_the_metadata_keep_the_numbers() {
        let found = merged(&[2, 0, -1], &["cat", "ant", ""], &["ant", "bee", "cat"]).unwrap();
        assert_eq!(found.numbers, [2, 0, -1]);
        assert_eq!(found.classes, Some(list(&["ant", "bee", "cat"])));
        let label = Labels::from_numbers(vec![1, 0]);
        let found = merge(Some(label), None, Some(list(&["ant", "bee"]))).unwrap();
        assert_eq!(found.unwrap().classes, Some(list(&["ant", "bee"])));
    }

    #[test]
    fn names_of_the_metadata_yield_to_those_of_the_rows() {
        // Another program has numbered the classes again.
        let found = merged(&[1, 0, -1], &["cat", "ant", ""], &["ant", "bee", "cat"]).unwrap();
        assert_eq!(found.numbers, [1, 0, -1]);
        assert_eq!(found.classes, Some(list(&["ant", "cat"])));
    }

    #[test]
    fn columns_that_disagree_are_refused_with_both_rows() {
        for (label, class, rows) in [
            (
                [1, 1, 0],
                ["cat", "dog", "ant"],
                "row 0 has `1` and `cat`, row 1 has `1` and `dog`",
            ),
            (
                [1, 0, 2],
                ["cat", "ant", "cat"],
                "row 0 has `1` and `cat`, row 2 has `2` and `cat`",
            ),
            (
                [1, 1, 1],
                ["cat", "", "cat"],
                "row 0 has `1` and `cat`, row 1 has `1` and no class",
            ),
        ] {
            let message = merged(&label, &class, &[]).unwrap_err();
            assert!(message.contains(rows), "{message}");
        }
    }

    #[test]
    fn neither_column_is_no_labels() {
        assert_eq!(merge(None, None, Some(list(&["ant"]))), Ok(None));
    }
}
