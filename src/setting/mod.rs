//! Checks of configuration values. Each module checks the values of its section with these functions.

mod ranges;

use thiserror::Error;

pub use ranges::Checked;
pub(crate) use ranges::{
    at_least, at_least_one, at_most, below_one, counts, even, finite, increasing, items_above_zero,
    not_negative, positive, proper_share, share, up_to,
};

/// A configuration key has an invalid value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingError {
    /// The value is out of range, or contradicts another one.
    #[error("`{key} = {value}`: {reason}")]
    Value {
        /// The dotted key.
        key: String,
        /// The value as TOML.
        value: String,
        /// The reason, and a valid value.
        reason: String,
    },
    /// The key exists, but has no effect with the chosen dataset, loss, pooling or negatives.
    #[error("`{key}` has no effect with {chosen}; remove it")]
    NotApplicable {
        /// The dotted key.
        key: String,
        /// The choice that excludes it, such as `data.dataset = "synthetic"`.
        chosen: String,
    },
}

impl SettingError {
    /// Returns the dotted key.
    pub fn key(&self) -> &str {
        match self {
            Self::Value { key, .. } | Self::NotApplicable { key, .. } => key,
        }
    }

    /// Creates the error of an invalid value. `reason` also names a valid one.
    pub(crate) fn value(
        key: &str,
        value: impl Into<toml::Value>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Value {
            key: key.to_string(),
            value: shown(&value.into()),
            reason: reason.into(),
        }
    }
}

/// Returns a value as TOML. Large and small numbers have an exponent instead of many zeros.
pub(crate) fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(number) if number.is_finite() => format!("{number:?}"),
        toml::Value::Array(values) => {
            let values: Vec<String> = values.iter().map(shown).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_few_digits() {
        for (value, expected) in [
            (toml::Value::from(-1e300), "-1e300"),
            (1e-8.into(), "1e-8"),
            (0.001.into(), "0.001"),
            (3.0.into(), "3.0"),
            (f64::NAN.into(), "nan"),
            (f64::NEG_INFINITY.into(), "-inf"),
            (vec![0.5, 1e20].into(), "[0.5, 1e20]"),
            ("a".into(), "\"a\""),
        ] {
            assert_eq!(shown(&value), expected);
        }
    }
}
