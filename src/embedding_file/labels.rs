//! The classes of embeddings.

use std::collections::BTreeMap;

/// The label of rows and images without a class.
pub const NO_CLASS: i64 = -1;

/// The class of each row of embeddings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Labels {
    /// The class of each row, or [`NO_CLASS`].
    pub(super) numbers: Vec<i64>,
    /// The names of the classes, which the numbers index; `None` if the file does not have them.
    pub(super) classes: Option<Vec<String>>,
    /// Whether the file has only the names, so that the numbers have no meaning in another file.
    pub(super) only_names: bool,
    /// The number of labels after those, which are not read, because there are more labels than rows already.
    pub(super) uncollected: usize,
    /// The names of the images beside the labels; `None` if the file does not have them.
    pub(super) paths: Option<Vec<String>>,
}

impl Labels {
    /// Creates labels that are numbers.
    pub(super) fn from_numbers(numbers: Vec<i64>) -> Self {
        Self {
            numbers,
            ..Self::default()
        }
    }

    /// Creates labels that are names, one for each row. The classes are sorted by name. A row
    /// [without a class](is_without_class) has none of them.
    pub(super) fn from_names<T: AsRef<str>>(names: &[T]) -> Self {
        let named = names
            .iter()
            .map(AsRef::as_ref)
            .filter(|name| !is_without_class(name));
        let mut classes: BTreeMap<&str, i64> = named.map(|name| (name, 0)).collect();
        for (number, (_, class)) in classes.iter_mut().enumerate() {
            *class = number as i64;
        }
        let number = |name: &T| classes.get(name.as_ref()).copied().unwrap_or(NO_CLASS);
        Self {
            numbers: names.iter().map(number).collect(),
            classes: Some(classes.keys().map(ToString::to_string).collect()),
            only_names: true,
            ..Self::default()
        }
    }

    /// Returns the number of labels in the file.
    pub(super) fn count(&self) -> usize {
        self.numbers.len() + self.uncollected
    }

    /// Returns the first number without a name; `None` if all have one, or there are no names.
    pub(super) fn first_unnamed(&self) -> Option<i64> {
        let count = self.classes.as_ref()?.len();
        let named = |label: i64| usize::try_from(label).is_ok_and(|label| label < count);
        let mut numbers = self.numbers.iter().copied();
        numbers.find(|&label| label != NO_CLASS && !named(label))
    }
}

/// Whether a text means that a row has no class: it is empty or −1, which pandas writes as -1.0 beside missing
/// values.
pub(super) fn is_without_class(text: &str) -> bool {
    matches!(text, "" | "-1" | "-1.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_their_order() {
        let labels = Labels::from_names(&["cat", "", "ant", "cat"]);
        assert_eq!(labels.numbers, [1, NO_CLASS, 0, 1]);
        assert_eq!(labels.classes, Some(vec!["ant".into(), "cat".into()]));
        assert_eq!(labels.first_unnamed(), None);
    }

    #[test]
    fn minus_one_among_names_is_no_class() {
        let labels = Labels::from_names(&["cat", "-1", "ant", "-1.0", "-2"]);
        assert_eq!(labels.numbers, [2, NO_CLASS, 1, NO_CLASS, 0]);
        let classes = labels.classes.unwrap();
        assert_eq!(classes, ["-2", "ant", "cat"]);
    }

    #[test]
    fn numbers_beyond_the_names_are_found() {
        let mut labels = Labels::from_numbers(vec![0, NO_CLASS, 2]);
        assert_eq!(labels.first_unnamed(), None);
        labels.classes = Some(vec!["a".into(), "b".into()]);
        assert_eq!(labels.first_unnamed(), Some(2));
        labels.numbers[2] = -7;
        assert_eq!(labels.first_unnamed(), Some(-7));
    }
}
