//! Errors of configurations.

use std::path::PathBuf;

use thiserror::Error;

use crate::setting::SettingError;

/// An error in a configuration file or an override.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; check the path given with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The text is not TOML, or not a configuration.
    #[error("{origin} is not a valid configuration: {message}")]
    Syntax {
        /// The file or other source of the text.
        origin: String,
        /// The parser's message, with line and column where it has them.
        message: String,
    },
    /// An override is not of the form `section.key=value`.
    #[error("--set {text}: {reason}")]
    Override {
        /// The override as given.
        text: String,
        /// What to write instead.
        reason: String,
    },
    /// No section or key has this name.
    #[error("unknown key `{key}`{}", hint(nearest))]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// The known key with the most similar name.
        nearest: Option<String>,
    },
    /// A value that its key cannot take, or a key without effect.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A former and the present name of a key are both given.
    #[error("{origin} sets `{former}` and `{present}`, two names of one key; remove the first")]
    BothNames {
        /// The file or other source of the text.
        origin: String,
        /// The former name.
        former: &'static str,
        /// The present name.
        present: &'static str,
    },
    /// `extends` does not lead to a file that can be extended.
    #[error("`extends = {value}` in {origin}: {reason}")]
    Extends {
        /// The file that extends, or other source of the text.
        origin: String,
        /// The path at fault, or the whole value, as TOML.
        value: String,
        /// The cause, and what to write instead.
        reason: String,
    },
    /// An error in a key that a file sets.
    #[error("{}, line {line}: {source}", path.display())]
    InFile {
        /// The file, which may be one that another extends.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The error.
        source: Box<ConfigError>,
    },
}

impl ConfigError {
    /// The dotted key, or the section, that is at fault.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { key, .. } => Some(key),
            Self::Setting(error) => Some(error.key()),
            _ => None,
        }
    }
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; `loop-dml config` lists every key".to_string(),
    }
}
