//! The values that a key takes, and their description in words.

use std::fmt;

use serde::Serialize;
use serde_json::{Number, Value, json};

/// The values that a key takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Integer(NumberRange),
    /// A number.
    Number(NumberRange),
    /// One of several names.
    Name(Vec<NamedValue>),
    /// The path of a file or a folder. `~/` is the home folder.
    Path,
    /// A text that this describes, such as `a time such as "30 minutes"`.
    Text(String),
    /// A list.
    List {
        /// The values of the list.
        item: Box<ValueKind>,
        /// The number of values, if it is fixed.
        length: Option<u64>,
    },
    /// One of several kinds of values.
    Either(Vec<ValueKind>),
}

/// A name that is a value, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// What it means.
    pub meaning: String,
}

/// The range of a number. Absent limits do not exist.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NumberRange {
    /// The smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Number>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Number>,
    /// Every value is above this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Number>,
    /// Every value is below this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Number>,
    /// Whether values are even.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub even: bool,
}

impl ValueKind {
    /// Reads the schema of a key.
    ///
    /// # Panics
    /// If the schema has a form that no key has.
    pub(super) fn from_schema(schema: &Value) -> Self {
        if let Some(name) = schema.get("const").and_then(Value::as_str) {
            return Self::Name(vec![NamedValue {
                name: name.to_string(),
                meaning: text(schema, "description"),
            }]);
        }
        for several in ["oneOf", "anyOf"] {
            if let Some(schemas) = schema.get(several).and_then(Value::as_array) {
                return Self::from_alternatives(schemas);
            }
        }
        match type_name(schema) {
            "boolean" => Self::Switch,
            "integer" => Self::Integer(NumberRange::from_schema(schema)),
            "number" => Self::Number(NumberRange::from_schema(schema)),
            "array" => Self::List {
                item: Box::new(Self::from_schema(&schema["items"])),
                length: schema
                    .get("minItems")
                    .filter(|minimum| schema.get("maxItems") == Some(minimum))
                    .and_then(Value::as_u64),
            },
            "string" if schema["format"] == "path" => Self::Path,
            "string" => Self::Text(text(schema, "title")),
            other => panic!("the type {other:?} of a key is not supported: {schema}"),
        }
    }

    fn from_alternatives(schemas: &[Value]) -> Self {
        let present = schemas.iter().filter(|schema| schema["type"] != "null");
        let kinds = present.map(Self::from_schema);
        let mut names = Vec::new();
        let mut others = Vec::new();
        for kind in kinds {
            match kind {
                Self::Name(more) => names.extend(more),
                other => others.push(other),
            }
        }
        if !names.is_empty() {
            others.insert(0, Self::Name(names));
        }
        match others.len() {
            1 => others.remove(0),
            _ => Self::Either(others),
        }
    }

    /// Returns the name of the type, as in JSON, and `name` or `path` for some strings.
    pub fn type_name(&self) -> String {
        match self {
            Self::Switch => "boolean".into(),
            Self::Integer(_) => "integer".into(),
            Self::Number(_) => "number".into(),
            Self::Name(_) => "name".into(),
            Self::Path => "path".into(),
            Self::Text(_) => "text".into(),
            Self::List { item, .. } => format!("list of {}", item.type_name()),
            Self::Either(kinds) => {
                let names: Vec<String> = kinds.iter().map(Self::type_name).collect();
                names.join(" or ")
            }
        }
    }

    /// Returns the range of the number, or of each number of the list.
    pub fn range(&self) -> Option<&NumberRange> {
        match self {
            Self::Integer(range) | Self::Number(range) => Some(range),
            Self::List { item, .. } => item.range(),
            Self::Either(kinds) => kinds.iter().find_map(Self::range),
            _ => None,
        }
    }

    /// Returns the names that are values, alone or in a list. Empty if names are not values.
    pub fn names(&self) -> &[NamedValue] {
        match self {
            Self::Name(names) => names,
            Self::List { item, .. } => item.names(),
            Self::Either(kinds) => kinds
                .iter()
                .map(Self::names)
                .find(|names| !names.is_empty())
                .unwrap_or_default(),
            _ => &[],
        }
    }
}

/// The values as a noun with its article, such as `a whole number from 1 to 64`.
impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("true or false"),
            Self::Integer(range) if range.even => write!(f, "an even whole number{range}"),
            Self::Integer(range) => write!(f, "a whole number{range}"),
            Self::Number(range) => write!(f, "a number{range}"),
            Self::Name(names) => {
                let names: Vec<String> = names.iter().map(|v| format!("`{}`", v.name)).collect();
                f.write_str(&joined(&names))
            }
            Self::Path => f.write_str("a path"),
            Self::Text(description) => f.write_str(description),
            Self::List { item, length } => {
                let count = length.map_or(String::new(), |length| format!("{length} "));
                let items = match &**item {
                    Self::Integer(range) => format!("whole numbers{range}"),
                    Self::Number(range) => format!("numbers{range}"),
                    other => format!("values: {other}"),
                };
                write!(f, "a list of {count}{items}")
            }
            Self::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join(", or "))
            }
        }
    }
}

impl NumberRange {
    /// Returns whether there is a limit.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// Returns whether `number` is in the range. `NaN` is not.
    pub(in crate::config) fn contains(&self, number: f64) -> bool {
        let holds = |limit: &Option<Number>, compare: fn(&f64, &f64) -> bool| {
            let limit = limit.as_ref().and_then(Number::as_f64);
            limit.is_none_or(|limit| compare(&number, &limit))
        };
        !number.is_nan()
            && holds(&self.minimum, f64::ge)
            && holds(&self.maximum, f64::le)
            && holds(&self.above, f64::gt)
            && holds(&self.below, f64::lt)
            && (!self.even || number % 2.0 == 0.0)
    }

    fn from_schema(schema: &Value) -> Self {
        let number = |name: &str| schema.get(name).and_then(Value::as_number).cloned();
        Self {
            minimum: number("minimum"),
            maximum: number("maximum"),
            above: number("exclusiveMinimum"),
            below: number("exclusiveMaximum"),
            even: schema["multipleOf"] == json!(2),
        }
    }
}

/// The range as it follows a noun, such as ` from 1 to 64`; empty without limits.
impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.minimum, &self.above) {
            (Some(minimum), _) => match (&self.maximum, &self.below) {
                (Some(maximum), _) => write!(f, " from {} to {}", plain(minimum), plain(maximum)),
                (None, Some(below)) => {
                    write!(
                        f,
                        " of {} or more and below {}",
                        plain(minimum),
                        plain(below)
                    )
                }
                (None, None) => write!(f, " of {} or more", plain(minimum)),
            },
            (None, Some(above)) => match (&self.maximum, &self.below) {
                (Some(maximum), _) => {
                    write!(f, " above {} and up to {}", plain(above), plain(maximum))
                }
                (None, Some(below)) => {
                    write!(f, " above {} and below {}", plain(above), plain(below))
                }
                (None, None) => write!(f, " above {}", plain(above)),
            },
            (None, None) => Ok(()),
        }
    }
}

/// Returns a limit without `.0`.
fn plain(number: &Number) -> String {
    let text = number.to_string();
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_string(),
        None => text,
    }
}

/// Returns names as `a`, `a or b`, or `a, b or c`.
fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Returns the type of a value. `null` is an absent key.
fn type_name(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        one => one.as_str().unwrap_or_default(),
    }
}

/// Returns a text of a schema, with its lines joined.
pub(super) fn text(schema: &Value, name: &str) -> String {
    let text = schema.get(name).and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
