//! `training.checkpoint_every`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::setting::{Checked, SettingError, at_least};

/// The interval between checkpoints: a number of epochs, or a string such as `"30 minutes"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CheckpointInterval {
    /// Epochs, at least 1.
    Epochs(usize),
    /// Minutes, above 0.
    Minutes(f64),
}

impl CheckpointInterval {
    pub(super) fn check(self, key: &str) -> Checked {
        match self {
            Self::Epochs(epochs) => at_least(key, epochs, 1),
            Self::Minutes(minutes) if minutes > 0.0 && minutes <= 1e6 => Ok(()),
            Self::Minutes(_) => Err(SettingError::value(
                key,
                self.to_string(),
                "give a number of minutes above 0 and up to 1000000, such as \"30 minutes\"",
            )),
        }
    }
}

impl fmt::Display for CheckpointInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epochs(epochs) => epochs.fmt(f),
            Self::Minutes(minutes) => write!(f, "{minutes} minutes"),
        }
    }
}

impl Serialize for CheckpointInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Epochs(epochs) => epochs.serialize(serializer),
            Self::Minutes(_) => serializer.collect_str(self),
        }
    }
}

impl JsonSchema for CheckpointInterval {
    fn schema_name() -> Cow<'static, str> {
        "CheckpointInterval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1, "title": "a number of epochs" },
                { "type": "string", "title": "a time such as \"30 minutes\"" },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for CheckpointInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Interval;

        impl Visitor<'_> for Interval {
            type Value = CheckpointInterval;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of epochs, or a string such as \"30 minutes\"")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                let epochs = usize::try_from(value);
                epochs
                    .map(CheckpointInterval::Epochs)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let number = ["minutes", "minute", "min"]
                    .iter()
                    .find_map(|unit| text.strip_suffix(unit));
                number
                    .and_then(|number| number.trim().parse().ok())
                    .map(CheckpointInterval::Minutes)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn interval(text: &str) -> Result<Option<CheckpointInterval>, String> {
        let set = format!("training.checkpoint_every={text}");
        Config::parse("", "test", &[set])
            .and_then(|config| config.check().map(|()| config))
            .map(|config| config.training.checkpoint_every)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn epochs_and_minutes_are_read_and_written() {
        assert_eq!(interval("5"), Ok(Some(CheckpointInterval::Epochs(5))));
        for text in ["\"30 minutes\"", "\"30min\"", "30 minutes"] {
            assert_eq!(interval(text), Ok(Some(CheckpointInterval::Minutes(30.0))));
        }
        for set in ["5", "\"0.5 minutes\""] {
            let config =
                Config::parse("", "test", &[format!("training.checkpoint_every={set}")]).unwrap();
            let again = Config::parse(&config.to_toml(), "test", &[]).unwrap();
            assert_eq!(
                again.training.checkpoint_every,
                config.training.checkpoint_every
            );
        }
    }

    #[test]
    fn other_values_are_refused_with_the_key() {
        for text in [
            "0",
            "-1",
            "\"0 minutes\"",
            "\"nan minutes\"",
            "often",
            "2.5",
            "true",
        ] {
            let message = interval(text).unwrap_err();
            assert!(
                message.contains("`training.checkpoint_every = "),
                "{message}"
            );
        }
    }
}
