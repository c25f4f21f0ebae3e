//! The keys in the schema that `schemars` derives from the types of the sections.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::kind::{NamedValue, ValueKind, text};
use crate::config::Config;

/// A key as the schema describes it.
pub(super) struct DescribedKey {
    /// The dotted key.
    pub(super) key: String,
    pub(super) kind: ValueKind,
    pub(super) meaning: String,
    /// The default that the doc comment states.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a test compares it with the default")
    )]
    pub(super) documented_default: Option<String>,
    pub(super) applies_to: Vec<String>,
    /// The dotted key and the name of the choice that has this key.
    pub(super) choice: Option<(String, String)>,
}

/// The meaning of the keys that select the other keys of their section. In the types, they are the tags of
/// enums, which have no doc comment.
const CHOICES: [(&str, &str); 3] = [
    (
        "data.dataset",
        "The dataset. It selects which other keys `[data]` has.",
    ),
    (
        "loss.name",
        "The loss. It selects which other keys `[loss]` has.",
    ),
    (
        "negatives.name",
        "How negatives are generated. It selects which other keys `[negatives]` has.",
    ),
];

/// A property of the schema that says in words when a key applies.
const APPLIES_TO: &str = "x-applies-to";

/// Returns every key once for each choice that has it.
pub(super) fn described_keys() -> Vec<DescribedKey> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    let mut keys = Vec::new();
    for (section, schema) in properties(schema.as_value()) {
        for (name, property) in properties(schema) {
            keys.push(described(format!("{section}.{name}"), property, None));
        }
        let variants = schema.get("oneOf").and_then(Value::as_array);
        let Some(variants) = variants else {
            continue;
        };
        let mut names = Vec::new();
        let mut choice_key = String::new();
        for variant in variants {
            let tag = properties(variant).find_map(|(name, property)| {
                Some((name, property.get("const")?.as_str()?.to_string()))
            });
            let (tag, name) = tag.expect("a choice has a name");
            choice_key = format!("{section}.{tag}");
            for (key, property) in properties(variant).filter(|(key, _)| *key != tag) {
                let choice = (choice_key.clone(), name.clone());
                keys.push(described(
                    format!("{section}.{key}"),
                    property,
                    Some(choice),
                ));
            }
            names.push(NamedValue {
                name,
                meaning: text(variant, "description"),
            });
        }
        let meaning = CHOICES.iter().find(|(key, _)| *key == choice_key);
        keys.push(DescribedKey {
            key: choice_key,
            kind: ValueKind::Name(names),
            meaning: meaning.expect("every choice has a meaning").1.into(),
            documented_default: None,
            applies_to: Vec::new(),
            choice: None,
        });
    }
    keys
}

fn described(key: String, property: &Value, choice: Option<(String, String)>) -> DescribedKey {
    let stated = property.get(APPLIES_TO).and_then(Value::as_str);
    let chosen = choice.iter().map(|(key, name)| format!("{key} = {name:?}"));
    let (meaning, documented_default) = split_default(&text(property, "description"));
    DescribedKey {
        kind: ValueKind::from_schema(property),
        meaning,
        documented_default,
        applies_to: chosen.chain(stated.map(String::from)).collect(),
        key,
        choice,
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::iter)
}

/// Splits off the last sentence of a doc comment if it states what is known otherwise: the default, which is
/// returned, or that the key is required.
fn split_default(text: &str) -> (String, Option<String>) {
    let text = text.strip_suffix(" Required.").unwrap_or(text);
    match text.rsplit_once(" Default ") {
        Some((meaning, sentence)) => {
            let value = sentence.split(", as ").next().unwrap_or_default();
            (meaning.into(), Some(value.trim_end_matches('.').into()))
        }
        None => (text.into(), None),
    }
}
