//! What to write instead of a value that a key does not take.

#[cfg(test)]
mod tests;

use toml::Value;

use super::reference::{NamedValue, NumberRange, ValueKind};

/// A known name with a similarity (Jaro-Winkler) above this is suggested for an unknown one.
const SIMILAR: f64 = 0.7;

/// Returns what to write instead of `value`, which a key of this kind does not take: the same value in the
/// form of the kind if it is recognisable, else a description of the kind.
pub(super) fn advice(kind: &ValueKind, value: &Value) -> String {
    if let Value::String(text) = value
        && text.trim().is_empty()
    {
        return format!("has no value; give {kind}");
    }
    if let Some(limit) = limit_advice(kind, value) {
        return limit;
    }
    match rewritten(kind, value) {
        Some(instead) if value.as_str() == Some(&*instead) => {
            format!("write {instead} without quotes")
        }
        Some(instead) => format!("write {instead}"),
        None => match unknown_name(kind.names(), value) {
            Some(name) => name_advice(kind, name),
            None => format!("give {kind}"),
        },
    }
}

/// Returns the name that is not one of `names`: the value or the first such item of the list.
fn unknown_name<'a>(names: &[NamedValue], value: &'a Value) -> Option<&'a str> {
    let items = match value {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    };
    let is_known = |name: &str| names.iter().any(|known| known.name == name);
    let mut given = items.iter().filter_map(Value::as_str);
    given.find(|name| !is_known(name))
}

fn name_advice(kind: &ValueKind, text: &str) -> String {
    let wanted = text.to_lowercase().replace(['_', ' '], "-");
    let similarity = |name: &str| strsim::jaro_winkler(&wanted, name);
    let nearest = kind
        .names()
        .iter()
        .map(|known| (similarity(&known.name), &known.name))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`? Give {kind}"),
        None => format!("give {kind}"),
    }
}

/// Returns the limit that a number of the right type exceeds.
fn limit_advice(kind: &ValueKind, value: &Value) -> Option<String> {
    match (kind, value) {
        (ValueKind::Integer(range), Value::Integer(given)) => exceeded(range, *given as f64),
        (ValueKind::Either(kinds), _) => kinds.iter().find_map(|kind| limit_advice(kind, value)),
        (ValueKind::List { item, .. }, Value::Array(values)) => {
            values.iter().find_map(|value| limit_advice(item, value))
        }
        _ => None,
    }
}

fn exceeded(range: &NumberRange, given: f64) -> Option<String> {
    let beyond = |limit: &Option<serde_json::Number>, is_beyond: fn(&f64, &f64) -> bool| {
        let limit = limit.as_ref()?;
        is_beyond(&given, &limit.as_f64()?).then(|| limit.to_string())
    };
    let below = beyond(&range.minimum, f64::lt).map(|limit| format!("give {limit} or more"));
    below.or_else(|| beyond(&range.maximum, f64::gt).map(|limit| format!("give {limit} or less")))
}

/// Returns `value` in the form of the kind, as TOML.
fn rewritten(kind: &ValueKind, value: &Value) -> Option<String> {
    match kind {
        ValueKind::Switch => switch(value),
        ValueKind::Integer(range) => integer(value, range),
        ValueKind::Number(range) => number(value, range),
        ValueKind::List { item, length } => list(item, *length, value),
        ValueKind::Either(kinds) => kinds.iter().find_map(|kind| rewritten(kind, value)),
        ValueKind::Path => match value {
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                Some(format!("\"{value}\""))
            }
            _ => None,
        },
        ValueKind::Name(_) | ValueKind::Text(_) => None,
    }
}

fn switch(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => unquoted(text).to_lowercase(),
        Value::Integer(number) => number.to_string(),
        _ => return None,
    };
    match text.as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some("true".into()),
        "false" | "no" | "off" | "n" | "f" | "0" => Some("false".into()),
        _ => None,
    }
}

fn integer(value: &Value, range: &NumberRange) -> Option<String> {
    let number = match value {
        Value::Float(number) => *number,
        Value::String(text) => number_in(text, true)?,
        _ => return None,
    };
    // Above this, not every whole number has its own f64.
    let whole = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
    (whole && range.contains(number)).then(|| format!("{number:.0}"))
}

fn number(value: &Value, range: &NumberRange) -> Option<String> {
    let text = unquoted(value.as_str()?);
    let number = number_in(text, false)?;
    let is_toml = matches!(toml_value(text), Some(Value::Integer(_) | Value::Float(_)));
    if is_toml && range.contains(number) {
        return Some(text.to_string());
    }
    (number.is_finite() && range.contains(number)).then(|| format!("{number:?}"))
}

fn list(item: &ValueKind, length: Option<u64>, value: &Value) -> Option<String> {
    let values: Vec<Value> = match value {
        Value::Array(values) => values.clone(),
        Value::String(text) => unquoted(text)
            .trim_matches(['(', ')', '[', ']', '{', '}'])
            .split(|c: char| c.is_whitespace() || [',', ';'].contains(&c))
            .filter(|part| !part.is_empty())
            .map(|part| toml_value(part).unwrap_or_else(|| part.into()))
            .collect(),
        one => vec![one.clone()],
    };
    let right_length = length.is_none_or(|length| values.len() as u64 == length);
    let written: Option<Vec<String>> = values
        .iter()
        .map(|value| match conforms(item, value) {
            true => Some(value.to_string()),
            false => rewritten(item, value),
        })
        .collect();
    written
        .filter(|values| right_length && !values.is_empty())
        .map(|values| format!("[{}]", values.join(", ")))
}

/// Whether a value of a list needs no change.
fn conforms(kind: &ValueKind, value: &Value) -> bool {
    match (kind, value) {
        (ValueKind::Integer(range) | ValueKind::Number(range), Value::Integer(number)) => {
            range.contains(*number as f64)
        }
        (ValueKind::Number(range), Value::Float(number)) => range.contains(*number),
        (ValueKind::Name(names), Value::String(name)) => names.iter().any(|n| n.name == *name),
        _ => false,
    }
}

/// Reads the TOML value `text`.
pub(super) fn toml_value(text: &str) -> Option<Value> {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    parsed.ok().and_then(|mut table| table.remove("value"))
}

/// Units that do not change a number. `5k` and `2 hours` are other numbers than 5 and 2.
const UNITS: [&str; 6] = ["", "px", "pixels", "x", "epoch", "epochs"];

/// Reads a number that is not written as TOML: `.001`, `1.`, `0,001`, `1,000`, `10%`, `227px`, `"3"`.
fn number_in(text: &str, whole: bool) -> Option<f64> {
    let text = unquoted(text).replace('_', "");
    let (number, unit) = split_unit(&text);
    let scale = match unit {
        "%" => 0.01,
        unit if UNITS.contains(&unit.to_ascii_lowercase().as_str()) => 1.0,
        _ => return None,
    };
    let thousands = whole && {
        let mut groups = number.split(',');
        groups.next().is_some_and(|first| !first.is_empty()) && groups.all(|group| group.len() == 3)
    };
    let number = match thousands {
        true => number.replace(',', ""),
        false => number.replacen(',', ".", 1),
    };
    // Rounded, because 7 · 0.01 is not the nearest number to 0.07.
    let number: f64 = number.parse().ok()?;
    match scale == 1.0 {
        true => Some(number),
        false => Some(number / 100.0),
    }
}

/// Splits a text after the number it begins with.
fn split_unit(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let sign = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        match byte {
            b'0'..=b'9' | b'.' | b',' => end += 1,
            b'+' | b'-' if end == 0 => end += 1,
            b'e' | b'E' if is_digit(end + 1) => end += 1,
            b'e' | b'E' if sign && is_digit(end + 2) => end += 2,
            _ => break,
        }
    }
    (&text[..end], text[end..].trim())
}

/// Returns a text without the quotes around it.
fn unquoted(text: &str) -> &str {
    text.trim()
        .trim_matches(['"', '\'', '“', '”', '„', '‘', '’', '`'])
        .trim()
}
