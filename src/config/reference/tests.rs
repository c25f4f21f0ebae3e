//! The list of keys is that of the types, with their defaults and ranges, and wrong values of every key have
//! a message in the words of the list.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::*;
use crate::config::Config;
use crate::config::known_keys::known_keys;

/// What else to set so that `entry` applies and its value is not refused because of another key.
fn beside(entry: &ConfigKey) -> Vec<String> {
    let mut sets: Vec<String> = match entry.key.as_str() {
        "data.folds" => vec!["data.fold=1"],
        "data.fold" => vec!["data.folds=65536"],
        "data.resize" => vec!["data.image_size=16"],
        "data.image_size" => vec!["data.resize=4096"],
        "data.cache" => vec!["data.dataset=folder"],
        key if key.starts_with("model.gem") => vec!["model.pooling=gem"],
        _ => vec![],
    }
    .into_iter()
    .map(String::from)
    .collect();
    let choice = entry
        .applies_to
        .iter()
        .find(|choice| !choice.contains(", or"));
    sets.extend(choice.map(|choice| choice.replace(" = ", "=")));
    // Features need both.
    let features = ["data.dataset=\"embeddings\"", "model.backbone=\"none\""];
    if sets.iter().any(|set| features.contains(&set.as_str())) {
        sets.extend(features.map(String::from));
    }
    let dataset = ["synthetic", "fashion-mnist"].map(|name| format!("data.dataset=\"{name}\""));
    if sets
        .iter()
        .any(|set| set.starts_with("data.dataset") && !dataset.contains(set))
        && entry.key != "data.root"
    {
        sets.push("data.root=x".into());
    }
    sets
}

/// Sets `entry` to `value`, as TOML.
fn configured(entry: &ConfigKey, value: &str) -> Result<Config, String> {
    let mut sets = beside(entry);
    sets.push(format!("{}={value}", entry.key));
    Config::parse("", "test", &sets)
        .and_then(|config| config.check().map(|()| config))
        .map_err(|error| error.to_string())
}

#[test]
fn every_key_is_described_and_every_described_key_is_known() {
    let described: BTreeSet<String> = ConfigKey::all().iter().map(|e| e.key.clone()).collect();
    assert_eq!(described, *known_keys());
    for entry in ConfigKey::all() {
        let ConfigKey { key, meaning, .. } = entry;
        assert!(
            meaning.len() > 10 && meaning.ends_with('.'),
            "{key}: {meaning}"
        );
        for markup in ["[`", "::", "\\[", "  ", "](", "Default"] {
            assert!(!meaning.contains(markup), "{key}: {meaning}");
        }
        for named in entry.kind.names() {
            assert!(named.meaning.ends_with('.'), "{key}: {named:?}");
        }
    }
}

#[test]
fn keys_are_listed_by_section() {
    let mut sections: Vec<&str> = ConfigKey::all().iter().map(ConfigKey::section).collect();
    sections.dedup();
    assert_eq!(
        sections,
        [
            "model",
            "data",
            "batch",
            "loss",
            "negatives",
            "optimizer",
            "training",
            "evaluation"
        ]
    );
    assert_eq!(ConfigKey::all()[0].key, "model.backbone");
}

#[test]
fn defaults_are_those_of_the_configuration() {
    // `beside` gives them, or a key that changes them.
    let given = [
        "data.resize",
        "data.folds",
        "data.fold",
        "model.gem_power",
        "model.gem_learned",
        "model.standardize",
    ];
    for entry in ConfigKey::all() {
        let config = Config::parse("", "test", &beside(entry)).unwrap();
        let table: Table = toml::from_str(&config.to_toml()).unwrap();
        let resolved = lookup(&table, &entry.key).filter(|_| !entry.required);
        if !given.contains(&entry.key.as_str()) {
            assert_eq!(resolved, entry.default.as_ref(), "{}", entry.key);
        }
        if let Some(default) = &entry.default {
            configured(entry, &default.to_string()).unwrap();
        }
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    for described in super::schema::described_keys() {
        let default = lookup(&default_with(described.choice.as_ref()), &described.key).cloned();
        if let Some(documented) = described.documented_default {
            let documented = documented.trim_matches('`').replace('−', "-");
            let default = default.expect("a documented default is one").to_string();
            let same_number = documented
                .parse::<f64>()
                .ok()
                .zip(default.parse::<f64>().ok());
            assert!(
                documented == default.trim_matches('"') || same_number.is_some_and(|(a, b)| a == b),
                "{}: {documented} and {default}",
                described.key
            );
        }
    }
}

/// The ends of the ranges of a number: accepted values and refused ones, as TOML.
fn ends(kind: &ValueKind) -> (Vec<String>, Vec<String>) {
    let (range, step, whole) = match kind {
        ValueKind::Integer(range) => (range, if range.even { 2.0 } else { 1.0 }, true),
        ValueKind::Number(range) => (range, 0.125, false),
        _ => return Default::default(),
    };
    let text = |number: f64| match whole {
        true => format!("{number:.0}"),
        false => format!("{number:?}"),
    };
    let limit = |limit: &Option<serde_json::Number>| limit.as_ref().and_then(|n| n.as_f64());
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for (number, outward) in [(limit(&range.minimum), -1.0), (limit(&range.maximum), 1.0)] {
        // Seeds end at the largest number that TOML has.
        if let Some(number) = number.filter(|number| *number < 1e15) {
            accepted.push(text(number));
            refused.push(text(number + outward * step));
        }
    }
    for (number, inward) in [(limit(&range.above), 1.0), (limit(&range.below), -1.0)] {
        if let Some(number) = number {
            accepted.push(text(number + inward * 0.001));
            refused.push(text(number));
        }
    }
    if range.even {
        refused.push("17".into());
    }
    (accepted, refused)
}

#[test]
fn ends_of_ranges_are_accepted_and_what_is_beyond_is_refused() {
    for entry in ConfigKey::all() {
        let in_list = matches!(entry.kind, ValueKind::List { .. });
        let (kind, length) = match &entry.kind {
            ValueKind::List { item, length } => (&**item, *length),
            kind => (kind, None),
        };
        let value = |number: String| match (in_list, length) {
            (false, _) => number,
            (true, Some(length)) => format!("[{}]", vec![number; length as usize].join(", ")),
            (true, None) => format!("[{number}]"),
        };
        let (accepted, refused) = ends(kind);
        for number in accepted {
            // The backbone's minimum, and the size of a crop.
            let depends = ["data.image_size", "data.resize"].contains(&entry.key.as_str());
            // Two lists without a common class.
            let disjoint = entry.key.ends_with("_classes");
            if !(depends && number == "1" || disjoint) {
                let result = configured(entry, &value(number.clone()));
                assert!(result.is_ok(), "{} = {number}: {result:?}", entry.key);
            }
        }
        for number in refused {
            let value = value(number);
            let message = configured(entry, &value).expect_err(&format!("{} = {value}", entry.key));
            assert!(
                message.starts_with(&format!("`{} = ", entry.key)),
                "{message}"
            );
        }
    }
}

/// Values of every type, the most of which are wrong for a key.
const VALUES: [&str; 26] = [
    "",
    "tripelt",
    "\"3\"",
    "3",
    "3.0",
    "-1",
    "0",
    "17",
    "1.5",
    ".5",
    "-0.25",
    "1e300",
    "1e-300",
    "-1e300",
    "nan",
    "inf",
    "-inf",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "true",
    "True",
    "[]",
    "[[\"x\"]]",
    "{ a = 1 }",
    "1979-05-27T07:32:00Z",
];

/// Words of the parsers and of Rust.
const INTERNAL: [&str; 17] = [
    "expected",
    "variant",
    "u64",
    "usize",
    "i64",
    "f64",
    "f32",
    "u8",
    "invalid",
    "tuple",
    "struct",
    "enum",
    "string",
    "sequence",
    "integer",
    "float",
    "deserialize",
];

#[test]
fn messages_about_wrong_values_name_the_key_and_what_to_give() {
    let mut refused = 0;
    for entry in ConfigKey::all() {
        for value in VALUES {
            let Err(message) = configured(entry, value) else {
                continue;
            };
            refused += 1;
            let ConfigKey { key, .. } = entry;
            let reason = message.strip_prefix(&format!("`{key} = "));
            let reason = reason.unwrap_or_else(|| panic!("{key} = {value}: {message}"));
            let reason = reason
                .rsplit_once("`: ")
                .map_or(reason, |(_, reason)| reason);
            let reason = reason.to_lowercase();
            let words = reason.split(|c: char| !c.is_alphanumeric() && c != '-');
            // `training.precision` is named as in the field.
            let names = entry.kind.names();
            let is_value = |word: &str| names.iter().any(|known| known.name == word);
            for word in words {
                let internal = INTERNAL.contains(&word) && !is_value(word);
                assert!(!internal, "{word}: {message}");
            }
            let says = ["give ", "write ", "remove ", "set it", "begin with", "use "];
            assert!(says.iter().any(|word| reason.contains(word)), "{message}");
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn values_that_are_not_of_the_described_kind_are_refused() {
    for entry in ConfigKey::all() {
        for value in VALUES {
            let parsed = crate::config::wrong_value::toml_value(value);
            // A path may be called like a number.
            if let Some(value) = parsed.filter(|_| entry.kind != ValueKind::Path)
                && !is_of(&entry.kind, &value)
            {
                let result = configured(entry, &value.to_string());
                assert!(result.is_err(), "{} = {value}", entry.key);
            }
        }
    }
}

/// Whether `value` is of the type and in the range.
fn is_of(kind: &ValueKind, value: &Value) -> bool {
    match (kind, value) {
        (ValueKind::Switch, Value::Boolean(_)) => true,
        (ValueKind::Integer(range) | ValueKind::Number(range), Value::Integer(number)) => {
            range.contains(*number as f64)
        }
        (ValueKind::Number(range), Value::Float(number)) => range.contains(*number),
        (ValueKind::Name(names), Value::String(text)) => names.iter().any(|n| n.name == *text),
        (ValueKind::Path | ValueKind::Text(_), Value::String(_)) => true,
        (ValueKind::List { item, length }, Value::Array(values)) => {
            length.is_none_or(|length| length == values.len() as u64)
                && values.iter().all(|value| is_of(item, value))
        }
        (ValueKind::Either(kinds), value) => kinds.iter().any(|kind| is_of(kind, value)),
        _ => false,
    }
}

#[test]
fn keys_have_a_type_and_a_range_in_words() {
    let described = |key: &str| {
        let entry = ConfigKey::find(key, &Table::new()).unwrap();
        (entry.kind.type_name(), entry.kind.to_string())
    };
    for (key, name, words) in [
        (
            "data.image_size",
            "integer",
            "a whole number from 1 to 2048",
        ),
        (
            "data.classes",
            "integer",
            "an even whole number from 4 to 100000",
        ),
        (
            "model.dropout",
            "number",
            "a number of 0 or more and below 1",
        ),
        (
            "optimizer.decay_factor",
            "number",
            "a number above 0 and up to 1",
        ),
        ("loss.reduction", "name", "`sum` or `mean`"),
        ("data.cache", "boolean", "true or false"),
        ("data.root", "path", "a path"),
        ("data.mean", "list of number", "a list of 3 numbers"),
        (
            "training.checkpoint_every",
            "integer or text",
            "a whole number of 1 or more, or a time such as \"30 minutes\"",
        ),
    ] {
        assert_eq!(
            described(key),
            (name.to_string(), words.to_string()),
            "{key}"
        );
    }
}

#[test]
fn entry_of_a_key_is_that_of_the_choice() {
    let default = |loss: &str| {
        let table: Table = toml::from_str(&format!("[loss]\nname = \"{loss}\"\n")).unwrap();
        ConfigKey::find("loss.margin", &table)
            .unwrap()
            .default
            .clone()
    };
    assert_eq!(default("triplet"), Some(Value::Float(0.1)));
    assert_eq!(default("hphn-triplet"), Some(Value::Float(0.2)));
}
