//! Every key of the configuration with its type, range, default and meaning.
//!
//! All of it is derived from the types of the sections: the meaning is the doc comment of the field, the
//! range is its `schemars` attribute, and the default is that of the configuration which makes the choice
//! that the key depends on.

mod json_schema;
mod kind;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use toml::{Table, Value};

use super::known_keys::{declared_keys, default_with, lookup, unknown};
use super::renamed::present_key;
use super::{ConfigError, EXTENDS};
pub use json_schema::json_schema;
pub use kind::{NamedValue, NumberRange, ValueKind};
use schema::{DescribedKey, described_keys};

/// A key of the configuration. A key that differs between the choices it depends on, such as `loss.margin`,
/// has one of these for each.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigKey {
    /// The dotted key.
    pub key: String,
    /// The values that it takes.
    pub kind: ValueKind,
    /// The value if it is not given. `None` if the key is then absent, as `meaning` says, or required.
    pub default: Option<Value>,
    /// Whether the key must be given.
    pub required: bool,
    /// What the key does.
    pub meaning: String,
    /// The choices that it applies to, such as `loss.name = "triplet"`. Empty if it always applies.
    pub applies_to: Vec<String>,
}

impl ConfigKey {
    /// Returns every key, by section, in the order in which a run's configuration lists them.
    pub fn all() -> &'static [Self] {
        static KEYS: LazyLock<Vec<ConfigKey>> = LazyLock::new(config_keys);
        &KEYS
    }

    /// Returns the keys that `name` means: a dotted key, a section, or the part of keys after the section.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn matching(name: &str) -> Result<Vec<&'static Self>, ConfigError> {
        let name = present_key(name.trim().trim_matches(['[', ']']));
        let is_meant = |entry: &&Self| {
            let last = entry.key.rsplit('.').next();
            [Some(entry.key.as_str()), Some(entry.section()), last].contains(&Some(name))
        };
        let keys: Vec<&Self> = Self::all().iter().filter(is_meant).collect();
        match keys.is_empty() {
            true => Err(unknown(name)),
            false => Ok(keys),
        }
    }

    /// Returns the section.
    pub fn section(&self) -> &str {
        self.key.split('.').next().unwrap_or_default()
    }

    /// Returns the entry of the dotted key `key` for the choices that `table` makes, or the first of the key.
    pub(super) fn find(key: &str, table: &Table) -> Option<&'static Self> {
        let entries = || Self::all().iter().filter(|entry| entry.key == key);
        let chosen = |entry: &&Self| {
            entry.applies_to.iter().any(|choice| {
                let (path, name) = choice.split_once(" = ").unwrap_or_default();
                lookup(table, path).is_some_and(|value| value.to_string() == name)
            })
        };
        entries().find(chosen).or_else(|| entries().next())
    }
}

/// Returns the dotted keys whose values are paths.
pub(super) fn path_keys() -> impl Iterator<Item = &'static str> {
    let paths = ConfigKey::all().iter();
    paths
        .filter(|entry| entry.kind == ValueKind::Path)
        .map(|entry| entry.key.as_str())
}

fn config_keys() -> Vec<ConfigKey> {
    let mut keys: Vec<ConfigKey> = Vec::new();
    for described in described_keys() {
        let entry = config_key(described);
        let same = keys.iter_mut().find(|other| {
            (&other.key, &other.kind, &other.default) == (&entry.key, &entry.kind, &entry.default)
                && other.meaning == entry.meaning
        });
        match same {
            Some(same) => same.applies_to.extend(entry.applies_to),
            None => keys.push(entry),
        }
    }
    let order = declared_keys();
    let position = |key: &str| order.iter().position(|declared| declared == key);
    keys.sort_by_key(|entry| position(&entry.key));
    keys
}

fn config_key(described: DescribedKey) -> ConfigKey {
    let DescribedKey {
        key,
        kind,
        meaning,
        applies_to,
        choice,
        ..
    } = described;
    let default = lookup(&default_with(choice.as_ref()), &key).cloned();
    // Only the path of the images has no default with which a dataset can be opened.
    let required = kind == ValueKind::Path && default == Some(Value::String(String::new()));
    ConfigKey {
        key,
        kind,
        default: default.filter(|_| !required),
        required,
        meaning,
        applies_to,
    }
}
