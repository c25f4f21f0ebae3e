//! What a configuration value can be refused for. Modules that own a section of the configuration check
//! its values with these.

mod ranges;

use thiserror::Error;

pub use ranges::Checked;
pub(crate) use ranges::{
    at_least, at_least_one, at_most, below_one, counts, even, finite, not_negative, positive,
    rising, share,
};

/// A configuration key that cannot have its value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SettingError {
    /// The value is out of range, or contradicts another.
    #[error("`{key} = {value}`: {reason}")]
    Value {
        /// The dotted key.
        key: String,
        /// The value as TOML.
        value: String,
        /// Why it is refused, and what to give instead.
        reason: String,
    },
    /// The key exists, but not with the chosen dataset, loss, pooling or negatives.
    #[error("`{key}` has no effect with {chosen}: remove it, or choose what it belongs to")]
    NotApplicable {
        /// The dotted key.
        key: String,
        /// The choice that excludes it, such as `data.dataset = "synthetic"`.
        chosen: String,
    },
}

impl SettingError {
    /// The dotted key.
    pub fn key(&self) -> &str {
        match self {
            Self::Value { key, .. } | Self::NotApplicable { key, .. } => key,
        }
    }

    /// A value that `key` cannot take, for `reason`, which says what to give instead.
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
