//! A JSON schema of configuration files, for editors.

use serde_json::{Map, Value, json};

use super::kind::{NumberRange, ValueKind};
use super::{ConfigKey, EXTENDS};

/// Returns the JSON schema (draft 7) of configuration files. Keys are not required, because a file may extend
/// others, and a key that differs between choices takes the values of all.
pub fn json_schema() -> Value {
    let mut sections = Map::new();
    sections.insert(
        EXTENDS.into(),
        json!({
            "description": "The files to build on, relative to this file. Later ones override earlier ones.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
    );
    for entry in ConfigKey::all() {
        let (section, name) = entry.key.split_once('.').expect("a dotted key");
        let section = sections.entry(section).or_insert_with(
            || json!({ "type": "object", "additionalProperties": false, "properties": {} }),
        );
        let alternative = alternative(entry);
        match &mut section["properties"][name] {
            Value::Object(several) => {
                let several = several.entry("anyOf").or_insert_with(|| json!([]));
                several.as_array_mut().expect("a list").push(alternative);
            }
            absent => *absent = json!({ "anyOf": [alternative] }),
        }
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "loop-dml configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    })
}

fn alternative(entry: &ConfigKey) -> Value {
    let mut schema = kind_schema(&entry.kind);
    let description = match entry.applies_to.as_slice() {
        [] => entry.meaning.clone(),
        choices => format!("{} (With {}.)", entry.meaning, choices.join(" or ")),
    };
    schema["description"] = description.into();
    if let Some(default) = &entry.default {
        schema["default"] = json!(default);
    }
    schema
}

fn kind_schema(kind: &ValueKind) -> Value {
    match kind {
        ValueKind::Switch => json!({ "type": "boolean" }),
        ValueKind::Integer(range) => range_schema("integer", range),
        ValueKind::Number(range) => range_schema("number", range),
        ValueKind::Name(names) => {
            let names: Vec<&str> = names.iter().map(|named| named.name.as_str()).collect();
            json!({ "enum": names })
        }
        ValueKind::Path | ValueKind::Text(_) => json!({ "type": "string" }),
        ValueKind::List { item, length } => {
            let mut schema = json!({ "type": "array", "items": kind_schema(item) });
            if let Some(length) = length {
                schema["minItems"] = json!(length);
                schema["maxItems"] = json!(length);
            }
            schema
        }
        ValueKind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(kind_schema).collect();
            json!({ "anyOf": kinds })
        }
    }
}

fn range_schema(name: &str, range: &NumberRange) -> Value {
    let mut schema = json!({ "type": name });
    for (key, limit) in [
        ("minimum", &range.minimum),
        ("maximum", &range.maximum),
        ("exclusiveMinimum", &range.above),
        ("exclusiveMaximum", &range.below),
    ] {
        if let Some(limit) = limit {
            schema[key] = json!(limit);
        }
    }
    if range.even {
        schema["multipleOf"] = json!(2);
    }
    schema
}
