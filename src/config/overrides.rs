//! Overrides of the form `section.key=value`.

use toml::{Table, Value};

use super::ConfigError;
use super::known_keys::{known_keys, unknown};
use super::reference::{ConfigKey, path_keys};
use super::wrong_value::toml_value;

/// Sets one key of `table` from `section.key=value`. The value is read as TOML, or as a string if it
/// is not TOML, so that paths and names need no quotes. A path is a string, even if it is called `2024`.
///
/// # Errors
///
/// If the text has no `=`, no section or no key.
pub(super) fn apply_override(table: &mut Table, text: &str) -> Result<(), ConfigError> {
    let malformed = |reason: String| ConfigError::Override {
        text: text.to_string(),
        reason,
    };
    let Some((path, value)) = text.split_once('=') else {
        return Err(malformed(form_with_key(text.trim())));
    };
    let (path, value) = (path.trim(), value.trim());
    let Some((section, key)) = path.split_once('.') else {
        return Err(malformed(form_with_section(path, value)));
    };
    let (section, key) = (section.trim(), key.trim());
    if section.is_empty() || key.is_empty() || value.contains(['\n', '\r']) {
        return Err(malformed(FORM.into()));
    }
    let is_path = path_keys().any(|known| known == format!("{section}.{key}"));
    let parsed = toml_value(value).filter(|parsed| parsed.is_str() || !is_path);
    let value = parsed.unwrap_or_else(|| Value::String(value.to_string()));
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    match section {
        Value::Table(keys) => {
            keys.insert(key.to_string(), value);
            Ok(())
        }
        _ => Err(malformed(FORM.into())),
    }
}

const FORM: &str = "write SECTION.KEY=VALUE, for example --set training.epochs=3";

/// What to write instead of `key` without a value.
fn form_with_key(key: &str) -> String {
    match known_keys().contains(key) {
        true => format!("write {key}=VALUE; `loop-dml config {key}` shows its values"),
        false => FORM.into(),
    }
}

/// What to write instead of `key=value`, where `key` has no section.
fn form_with_section(key: &str, value: &str) -> String {
    let whole: Vec<String> = known_keys()
        .iter()
        .filter(|known| known.rsplit('.').next() == Some(key))
        .map(|known| format!("{known}={value}"))
        .collect();
    if !whole.is_empty() {
        return format!("write {}", whole.join(" or "));
    }
    let mut keys = ConfigKey::all().iter();
    if let Some(first) = keys.find(|entry| entry.section() == key) {
        return format!(
            "`{key}` is a section; write one of its keys, such as {}=VALUE (`loop-dml config {key}` lists \
             them)",
            first.key
        );
    }
    if key == "extends" {
        return "only a file extends others; write extends in it, and give it with --config".into();
    }
    match unknown(key) {
        ConfigError::UnknownKey {
            nearest: Some(nearest),
            ..
        } => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        _ => FORM.into(),
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
        for text in ["epochs", "", "=", "bogus=3", ".epochs=3", "training.=3"] {
            let expected = format!(
                "--set {text}: write SECTION.KEY=VALUE, for example --set training.epochs=3"
            );
            assert_eq!(message(&[text]), expected);
        }
        for (text, expected) in [
            ("epochs=3", "write training.epochs=3"),
            (
                "epoch=3",
                "unknown key `epoch`; did you mean `training.epochs`?",
            ),
            ("name=loop", "write loss.name=loop or negatives.name=loop"),
            (
                "extends=base.toml",
                "only a file extends others; write extends in it, and give it with --config",
            ),
            (
                "loss=triplet",
                "`loss` is a section; write one of its keys, such as loss.name=VALUE (`loop-dml config loss` \
                 lists them)",
            ),
            (
                "training.epochs",
                "write training.epochs=VALUE; `loop-dml config training.epochs` shows its values",
            ),
        ] {
            assert_eq!(message(&[text]), format!("--set {text}: {expected}"));
        }
    }

    #[test]
    fn spaces_around_the_equals_sign_are_ignored() {
        for text in [
            "training.epochs =3",
            " training.epochs = 3 ",
            "training . epochs=3",
        ] {
            let config = Config::parse("", "test.toml", &[text.into()]).unwrap();
            assert_eq!(config.training.epochs, 3, "{text}");
        }
    }
}
