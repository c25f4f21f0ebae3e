//! The axes of a sweep, and selections of their values.

use toml::Value;

use crate::setting::shown;

/// A list of values, of which each run has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The configuration key, or the name of an axis whose values set several keys.
    pub name: String,
    /// The values, at least one.
    pub values: Vec<AxisValue>,
}

/// A value of an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisValue {
    /// The value of the key, or the label of a value that sets several keys.
    pub value: Value,
    /// The configuration keys that it sets.
    pub settings: Vec<(String, Value)>,
}

impl AxisValue {
    /// The value as it is shown: text without quotes.
    pub fn label(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            value => shown(value),
        }
    }
}

impl Axis {
    /// The index of a value.
    pub(super) fn position(&self, value: &Value) -> Option<usize> {
        self.values
            .iter()
            .position(|known| equal(&known.value, value))
    }

    /// The values as text, for messages.
    pub(super) fn described(&self) -> String {
        let values = self.values.iter().map(|value| shown(&value.value));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// Whether two values are the same, also if a whole number is written with a decimal point.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Integer(whole), Value::Float(number))
        | (Value::Float(number), Value::Integer(whole)) => *whole as f64 == *number,
        _ => a == b,
    }
}

/// Values of some axes: the index of each axis, and the indices of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection(pub(super) Vec<(usize, Vec<usize>)>);

impl Selection {
    /// Whether a run with these values, one index for each axis, is selected.
    pub(super) fn contains(&self, choices: &[usize]) -> bool {
        let mut axes = self.0.iter();
        axes.all(|(axis, values)| values.contains(&choices[*axis]))
    }

    /// These values in place of those of `choices`, for a selection of one value of each axis.
    pub(super) fn replaced(&self, choices: &[usize]) -> Vec<usize> {
        let mut replaced = choices.to_vec();
        for (axis, values) in &self.0 {
            replaced[*axis] = values[0];
        }
        replaced
    }
}
