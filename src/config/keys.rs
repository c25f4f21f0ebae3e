//! Checks of every key of a table, with errors that name the key at fault.

use serde::Deserialize;
use toml::{Table, Value};

use super::known_keys::{
    CHOICES, DEFAULT_CONFIG, EVERY_CONFIG, insert, known_keys, lookup, section_name, unknown,
};
use super::reference::ConfigKey;
use super::renamed::present_key;
use super::wrong_value::advice;
use super::{Config, ConfigError};
use crate::negatives::NegativesConfig;
use crate::setting::{SettingError, shown};

/// Checks that `table` has known sections only.
///
/// # Errors
///
/// The first key that is not a section, or that is a section but has a single value.
pub(super) fn check_sections(table: &Table) -> Result<(), ConfigError> {
    for (section, value) in table {
        let known = EVERY_CONFIG
            .iter()
            .any(|config| config.contains_key(section));
        match value {
            Value::Table(_) if known => {}
            value if known => {
                return Err(SettingError::Value {
                    key: section.clone(),
                    value: value.to_string(),
                    reason: format!("is a section: write [{section}] and its keys below it"),
                }
                .into());
            }
            _ => return Err(unknown(section)),
        }
    }
    Ok(())
}

/// Checks that some configuration has the dotted key, by its present or a former name.
///
/// # Errors
/// If the key is unknown, with the most similar known one.
pub fn check_key(key: &str) -> Result<(), ConfigError> {
    match known_keys().contains(present_key(key)) {
        true => Ok(()),
        false => Err(unknown(key)),
    }
}

/// Adds the default `negatives.name` to a `[negatives]` section without one.
pub(super) fn name_negatives(table: &mut Table) {
    if let Some(Value::Table(keys)) = table.get_mut("negatives") {
        let default = NegativesConfig::default().name();
        keys.entry("name").or_insert_with(|| default.into());
    }
}

/// Checks each key of `table` separately, beside the choice it depends on, so that an error names the
/// key and its value.
///
/// # Errors
///
/// The first key that is unknown, does not apply to the choices made, or has a value of the wrong
/// type.
pub(super) fn check_each(table: &Table) -> Result<(), ConfigError> {
    // The choices come first: every other key of their section depends on them.
    for choice in CHOICES {
        if let Some(value) = lookup(table, choice) {
            check_value(&choice_only(table, choice), choice, value)?;
        }
    }
    for (section, keys) in table {
        let Value::Table(keys) = keys else {
            continue;
        };
        let choice = CHOICES
            .iter()
            .find(|choice| section_name(choice) == section);
        for (key, value) in keys {
            let path = format!("{section}.{key}");
            let mut beside = Table::new();
            if let Some(choice) = choice {
                check_applies(table, &path, choice)?;
                beside = choice_only(table, choice);
            }
            check_value(&beside, &path, value)?;
        }
    }
    Ok(())
}

/// Checks that some configuration with the choice that `table` makes has the key `path`.
fn check_applies(table: &Table, path: &str, choice: &str) -> Result<(), ConfigError> {
    let chosen = lookup(table, choice).or_else(|| lookup(&DEFAULT_CONFIG, choice));
    let mut with_choice = EVERY_CONFIG
        .iter()
        .filter(|config| lookup(config, choice) == chosen)
        .peekable();
    // `Config::check` restricts the keys of other values, such as a list of poolings.
    let restricts = with_choice.peek().is_some();
    let applies = with_choice.any(|config| lookup(config, path).is_some());
    if !restricts || applies || !known_keys().contains(path) {
        return Ok(());
    }
    let value = chosen.map(Value::to_string).unwrap_or_default();
    Err(SettingError::NotApplicable {
        key: path.to_string(),
        chosen: format!("`{choice} = {value}`"),
    }
    .into())
}

/// Checks `path = value` beside the keys of `beside`.
fn check_value(beside: &Table, path: &str, value: &Value) -> Result<(), ConfigError> {
    if !known_keys().contains(path) {
        return Err(unknown(path));
    }
    let mut table = beside.clone();
    insert(&mut table, path, value.clone());
    match Config::deserialize(table) {
        Ok(_) => Ok(()),
        Err(_) => {
            let entry = ConfigKey::find(path, beside).expect("every key is described");
            Err(SettingError::Value {
                key: path.to_string(),
                value: shown(value),
                reason: advice(&entry.kind, value),
            }
            .into())
        }
    }
}

/// A table with `choice` alone, as `table` makes it: the other keys of the section cannot be read
/// without it.
fn choice_only(table: &Table, choice: &str) -> Table {
    let mut beside = Table::new();
    if let Some(value) = lookup(table, choice) {
        insert(&mut beside, choice, value.clone());
    }
    beside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::LossKind;

    fn message(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::parse(text, "test.toml", &overrides)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn misspelt_key_is_refused_with_the_nearest_known_one() {
        assert_eq!(
            message("[training]\nepoch = 3\n", &[]),
            "unknown key `training.epoch`; did you mean `training.epochs`?"
        );
        assert_eq!(
            message("", &["optimiser.learning_rate=0.1"]),
            "unknown key `optimiser.learning_rate`; did you mean `optimizer.learning_rate`?"
        );
        assert_eq!(
            message("epochs = 3", &[]),
            "unknown key `epochs`; did you mean `training.epochs`?"
        );
    }

    #[test]
    fn key_of_another_dataset_is_refused() {
        assert_eq!(
            message("[data]\ndataset = \"synthetic\"\nroot = \"photos\"\n", &[]),
            "`data.root` has no effect with `data.dataset = \"synthetic\"`; remove it"
        );
    }

    #[test]
    fn key_of_other_negatives_is_refused() {
        let message = message("[negatives]\nname = \"loop\"\npoints = 2\n", &[]);
        assert!(
            message
                .starts_with("`negatives.points` has no effect with `negatives.name = \"loop\"`"),
            "{message}"
        );
    }

    #[test]
    fn section_that_is_a_single_value_is_refused() {
        let message = message("loss = \"triplet\"\n", &["loss.margin=0.3"]);
        assert!(
            message.starts_with("`loss = \"triplet\"`: is a section"),
            "{message}"
        );
    }

    #[test]
    fn override_of_a_choice_drops_the_keys_of_the_former_choice() {
        let text = "[loss]\nname = \"hphn-triplet\"\nmargin = 0.5\nreduction = \"mean\"\n";
        let config = Config::parse(text, "test.toml", &["loss.name=n-pair".into()]).unwrap();
        assert_eq!(config.loss.kind, LossKind::NPair(Default::default()));
        assert_eq!(config.loss.reduction, crate::loss::Reduction::Mean);
    }

    #[test]
    fn value_of_the_wrong_type_is_refused_with_key_and_value() {
        let message = message("[training]\nepochs = \"many\"\n", &[]);
        assert_eq!(
            message,
            "`training.epochs = \"many\"`: give a whole number of 1 or more"
        );
    }

    #[test]
    fn unknown_choice_lists_the_known_ones() {
        let message = message("", &["loss.name=tripplet"]);
        assert!(
            message.contains("loss.name") && message.contains("hphn-triplet"),
            "{message}"
        );
    }
}
