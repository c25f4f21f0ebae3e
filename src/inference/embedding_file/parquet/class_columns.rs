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
