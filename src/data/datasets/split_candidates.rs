//! Columns of a list without a column `split` that may contain the splits under another name.

use std::collections::BTreeSet;

use csv::StringRecord;

use super::list_values::{is_absent, parse_subset};

/// Names of splits that other programs write. They are recognised, but not read.
const OTHER_SPLITS: [&str; 4] = ["training", "testing", "dev", "eval"];
/// Parts of a test split. A column of these alone does not divide the images into splits.
const ROLES: [&str; 2] = ["query", "gallery"];

/// The columns that are not read and whose values have been names of splits so far.
pub(super) struct SplitCandidates(Vec<Candidate>);

struct Candidate {
    column: usize,
    name: String,
    /// Its values in lower case. Only names of splits and roles, and so only a few.
    values: BTreeSet<String>,
}

impl SplitCandidates {
    /// Makes candidates of `columns`, given by their positions and names.
    pub(super) fn new(columns: &[(usize, String)]) -> Self {
        let candidate = |(column, name): &(usize, String)| Candidate {
            column: *column,
            name: name.clone(),
            values: BTreeSet::new(),
        };
        Self(columns.iter().map(candidate).collect())
    }

    /// Removes the columns whose value in a row is neither empty nor the name of a split.
    pub(super) fn examine(&mut self, record: &StringRecord) {
        self.0.retain_mut(|candidate| {
            let value = record.get(candidate.column).unwrap_or_default().trim();
            if is_absent(value) {
                return true;
            }
            let is_name = is_split(value) || is_one_of(&ROLES, value);
            if is_name {
                candidate.values.insert(value.to_ascii_lowercase());
            }
            is_name
        });
    }

    /// Returns why the list is refused if a column contains the splits, and what to do about it.
    pub(super) fn refusal(&self) -> Option<String> {
        let has_splits =
            |candidate: &&Candidate| candidate.values.iter().any(|value| is_split(value));
        let Candidate { name, values, .. } = self.0.iter().find(has_splits)?;
        let can_be_read = values.iter().all(|value| parse_subset(value).is_ok());
        let (found, change) = match can_be_read {
            true => ("train, validation or test".into(), ""),
            false => (
                values.iter().cloned().collect::<Vec<_>>().join(", "),
                " with the values train, validation and test (query and gallery images are test)",
            ),
        };
        Some(format!(
            "has no column split, but the values of {name:?} are {found}; rename it to split{change}, or remove it \
             if the classes are to be divided by data.train_share"
        ))
    }
}

fn is_split(value: &str) -> bool {
    parse_subset(value).is_ok() || is_one_of(&OTHER_SPLITS, value)
}

fn is_one_of(names: &[&str], value: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(values: &[&str]) -> Option<String> {
        let mut candidates = SplitCandidates::new(&[(1, "usage".into())]);
        for value in values {
            candidates.examine(&StringRecord::from(vec!["a.jpg", *value]));
        }
        candidates.refusal()
    }

    #[test]
    fn empty_values_and_other_names_of_splits_do_not_hide_a_column_of_splits() {
        for (values, found) in [
            (&["train", "", "Test"][..], "train, validation or test"),
            (&["", " TEST ", "nan"], "train, validation or test"),
            (&["Training", "Testing"], "testing, training"),
            (&["train", "dev", "test"], "dev, test, train"),
            (&["train", "eval"], "eval, train"),
            (&["train", "query", "Gallery"], "gallery, query, train"),
        ] {
            let message = refusal(values).unwrap_or_default();
            let expected =
                format!("has no column split, but the values of \"usage\" are {found}; rename");
            assert!(message.starts_with(&expected), "{values:?}: {message}");
        }
        let message = refusal(&["train", "dev"]).unwrap();
        assert!(
            message.contains("rename it to split with the values train, validation and test"),
            "{message}"
        );
    }

    #[test]
    fn other_columns_are_no_splits() {
        for values in [
            &["train", "bus"][..],
            &["query", "gallery", "query"],
            &["", "nan"],
            &[],
        ] {
            assert_eq!(refusal(values), None, "{values:?}");
        }
    }

    #[test]
    fn missing_values_are_empty() {
        let mut candidates = SplitCandidates::new(&[(1, "usage".into())]);
        candidates.examine(&StringRecord::from(vec!["a.jpg"]));
        assert_eq!(candidates.refusal(), None);
        candidates.examine(&StringRecord::from(vec!["b.jpg", "test"]));
        assert!(candidates.refusal().is_some());
    }
}
