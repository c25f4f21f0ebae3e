//! Configurations that earlier versions saved with a run, without keys that exist today.

use toml::{Table, Value};

use super::known_keys::lookup;
use super::sections::Protocol;

/// The key that runs before version 0.2.0 do not have.
const PROTOCOL: (&str, &str) = ("evaluation", "protocol");

/// Adds `evaluation.protocol` to the configuration of a run of an earlier version, which chose its best
/// checkpoint on the test split.
pub(super) fn add_protocol(table: &mut Table) {
    let (section, key) = PROTOCOL;
    if lookup(table, &format!("{section}.{key}")).is_some() {
        return;
    }
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(keys) = section {
        keys.insert(key.into(), Protocol::Published.to_string().into());
    }
}

/// Removes an empty `data.images`, which versions up to 0.2.0 wrote into the checkpoints of a manifest.
pub(super) fn remove_empty_images(table: &mut Table) {
    if let Some(Value::Table(data)) = table.get_mut("data")
        && data.get("images").and_then(Value::as_str) == Some("")
    {
        data.remove("images");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn protocol_of(text: &str) -> Protocol {
        let config = Config::parse_saved(text, "config.toml", &[]).unwrap();
        config.evaluation.protocol
    }

    #[test]
    fn saved_configuration_without_a_protocol_is_read_as_published() {
        for text in ["", "[evaluation]\nmirror = true\n"] {
            assert_eq!(protocol_of(text), Protocol::Published, "{text}");
        }
        let text = "[evaluation]\nprotocol = \"validated\"\n";
        assert_eq!(protocol_of(text), Protocol::Validated);
        let user = Config::parse("", "config.toml", &[]).unwrap();
        assert_eq!(user.evaluation.protocol, Protocol::Validated);
    }

    #[test]
    fn empty_images_of_a_checkpoint_are_read_as_absent() {
        let text = "[data]\ndataset = \"manifest\"\nroot = \"\"\nimages = \"\"\n";
        let saved = Config::parse_saved(text, "header", &[]).unwrap();
        assert!(!saved.to_toml().contains("\nimages = "));
        assert!(Config::parse(text, "header", &[]).is_err());
    }

    #[test]
    fn saved_configuration_keeps_its_protocol() {
        for protocol in [Protocol::Validated, Protocol::Published] {
            let mut config = Config::default();
            config.evaluation.protocol = protocol;
            assert_eq!(protocol_of(&config.to_toml()), protocol);
        }
    }
}
