//! Overrides of the form `section.key=value`.

use toml::{Table, Value};

use super::ConfigError;

/// Keys whose value is a path, so that a folder may be called `2024`.
const PATHS: [&str; 4] = [
    "data.root",
    "data.images",
    "data.cache_dir",
    "model.weights",
];

/// Sets one key of `table` from `section.key=value`. The value is read as TOML, or as a string if it
/// is not TOML, so that paths and names need no quotes.
///
/// # Errors
///
/// If the text has no `=`, no section or no key.
pub(super) fn apply_override(table: &mut Table, text: &str) -> Result<(), ConfigError> {
    let malformed = || ConfigError::Override {
        text: text.to_string(),
    };
    let (path, value) = text.split_once('=').ok_or_else(malformed)?;
    let (section, key) = path.trim().split_once('.').ok_or_else(malformed)?;
    if section.is_empty() || key.is_empty() {
        return Err(malformed());
    }
    let value = value.trim();
    if value.contains(['\n', '\r']) {
        return Err(malformed());
    }
    let parsed = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .filter(|parsed| parsed.is_str() || !PATHS.contains(&path.trim()));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_string()));
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    match section {
        Value::Table(keys) => {
            keys.insert(key.to_string(), value);
            Ok(())
        }
        _ => Err(malformed()),
    }
}

/// Adds the keys of `more`, section by section, over those of `table`.
pub(super) fn extend(table: &mut Table, more: Table) {
    for (section, keys) in more {
        match (table.get_mut(&section), keys) {
            (Some(Value::Table(under)), Value::Table(keys)) => under.extend(keys),
            (_, keys) => {
                table.insert(section, keys);
            }
        }
    }
}

/// The dotted key that an override sets.
pub(super) fn overridden_key(text: &str) -> &str {
    text.split_once('=').map_or(text, |(path, _)| path).trim()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::data::config::{DatasetConfig, FolderConfig};

    fn message(overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::parse("", "test.toml", &overrides)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn overrides_hold_one_key_each() {
        let message = message(&["loss.margin=1\nbogus=2"]);
        assert!(message.contains("SECTION.KEY=VALUE"), "{message}");
    }

    #[test]
    fn folder_may_be_called_like_a_number_or_in_quotes() {
        for (text, root) in [
            ("2024", "2024"),
            ("2024-01-01", "2024-01-01"),
            ("\"a b\"", "a b"),
        ] {
            let overrides = ["data.dataset=folder".into(), format!("data.root={text}")];
            let config = Config::parse("", "test.toml", &overrides).unwrap();
            let folder = FolderConfig {
                root: root.into(),
                ..Default::default()
            };
            assert_eq!(config.data.source, DatasetConfig::Folder(folder));
        }
    }

    #[test]
    fn override_without_section_or_value_shows_the_form() {
        for text in ["epochs", "epochs=3", ".epochs=3", "training.=3"] {
            assert!(message(&[text]).contains("SECTION.KEY=VALUE"), "{text}");
        }
    }
}
