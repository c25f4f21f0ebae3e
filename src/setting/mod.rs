//! Checks of configuration values. Each module checks the values of its section with these functions.

mod ranges;

use thiserror::Error;

pub use ranges::Checked;
pub(crate) use ranges::{
    at_least, at_least_one, at_most, below_one, counts, even, finite, increasing, not_negative,
    positive, share,
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
            value: value.into().to_string(),
            reason: reason.into(),
        }
    }
}
