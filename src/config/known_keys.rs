//! The keys that configurations have, by their dotted names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use super::{CheckpointInterval, Config, ConfigError};
use crate::data::config::DataConfig;
use crate::loss::LossKind;
use crate::model::config::{Descriptor, Pooling};
use crate::negatives::NegativesConfig;

/// Keys that select which other keys their section has.
pub(super) const CHOICES: [&str; 4] = [
    "data.dataset",
    "loss.name",
    "model.pooling",
    "negatives.name",
];

/// A known key with a similarity (Jaro-Winkler) above this is suggested for an unknown one.
const SIMILAR: f64 = 0.7;

/// The configurations of [`every_config`] as tables.
pub(super) static EVERY_CONFIG: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let tables = every_config().into_iter().map(Table::try_from);
    tables
        .map(|table| table.expect("a configuration is a table"))
        .collect()
});

/// Configurations that together have every key: one for each dataset, loss and negatives.
fn every_config() -> Vec<Config> {
    let mut full = Config::default();
    full.model.weights = Some("weights.pth".into());
    full.model.pooling = Pooling(vec![Descriptor::Gem]);
    full.model.fill_gem_defaults();
    full.model.feature_dim = Some(1);
    full.model.standardize = Some(true);
    full.model.hidden = Some(1);
    full.training.early_stopping = Some(1);
    full.training.checkpoint_every = Some(CheckpointInterval::Minutes(30.0));
    let mut configs = Vec::new();
    for data in DataConfig::with_every_key() {
        configs.push(Config {
            data,
            ..full.clone()
        });
    }
    for kind in LossKind::all() {
        let mut config = full.clone();
        config.loss.kind = kind;
        configs.push(config);
    }
    for negatives in NegativesConfig::all() {
        configs.push(Config {
            negatives,
            ..full.clone()
        });
    }
    configs
}

/// The default configuration, without the keys that are absent by default.
pub(super) static DEFAULT_CONFIG: LazyLock<Table> =
    LazyLock::new(|| as_written(&Config::default()));

/// The default configuration with `choice`, a dotted key and a name.
pub(super) fn default_with(choice: Option<&(String, String)>) -> Table {
    let Some((key, name)) = choice else {
        return DEFAULT_CONFIG.clone();
    };
    let mut table = Table::new();
    insert(&mut table, key, name.as_str().into());
    let config = Config::deserialize(table).expect("every choice has defaults");
    as_written(&config)
}

/// The table of a configuration as it is written, where an f32 has the digits of an f32.
fn as_written(config: &Config) -> Table {
    toml::from_str(&config.to_toml()).expect("a configuration is written as TOML")
}

/// Every dotted key in the order in which a configuration is written.
pub(super) fn declared_keys() -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for config in every_config() {
        let mut section = "";
        let mut next = 0;
        let text = config.to_toml();
        for line in text.lines() {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name;
            } else if let Some((key, _)) = line.split_once(" = ") {
                let path = format!("{section}.{key}");
                // A key that only this configuration has follows the key that it follows here.
                next = match keys.iter().position(|known| *known == path) {
                    Some(position) => position + 1,
                    None => {
                        keys.insert(next, path);
                        next + 1
                    }
                };
            }
        }
    }
    keys
}

/// Every dotted key that some configuration has.
pub(super) fn known_keys() -> &'static BTreeSet<String> {
    static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let mut keys = BTreeSet::new();
        for (section, values) in EVERY_CONFIG.iter().flatten() {
            for key in values.as_table().into_iter().flat_map(Table::keys) {
                keys.insert(format!("{section}.{key}"));
            }
        }
        keys
    });
    &KNOWN
}

/// The value of the dotted key `path`.
pub(super) fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (section, key) = path.split_once('.')?;
    table.get(section)?.get(key)
}

/// The value of the dotted key `path`.
pub(super) fn lookup_mut<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    let (section, key) = path.split_once('.')?;
    table.get_mut(section)?.get_mut(key)
}

/// Sets the dotted key `path`, unless its section is a single value.
pub(super) fn insert(table: &mut Table, path: &str, value: Value) {
    let (section, key) = path.split_once('.').expect("a dotted key");
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(keys) = section {
        keys.insert(key.to_string(), value);
    }
}

/// The section of a dotted key, or the section itself.
pub(super) fn section_name(path: &str) -> &str {
    path.split_once('.').map_or(path, |(section, _)| section)
}

/// The error of an unknown key, with the most similar known key or section.
pub(super) fn unknown(key: &str) -> ConfigError {
    let similarity = |known: &str| {
        let whole = strsim::jaro_winkler(key, known);
        // A bare key is also compared with the last part of known ones: `epochs` → `training.epochs`.
        let last = known.rsplit('.').next().unwrap_or(known);
        match key.contains('.') {
            true => whole,
            false => whole.max(strsim::jaro_winkler(key, last)),
        }
    };
    let known = known_keys();
    let sections = known.iter().map(|key| section_name(key).to_string());
    let nearest = known
        .iter()
        .cloned()
        .chain(sections)
        .map(|known| (similarity(&known), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known);
    ConfigError::UnknownKey {
        key: key.to_string(),
        nearest,
    }
}
