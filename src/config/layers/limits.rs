//! Limits on configuration files, which keep messages short and reading quick.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::ConfigLayers;
use crate::bounded_read::{MIB, read_at_most};
use crate::config::ConfigError;
use crate::shorten::shorten;

/// The most bytes of a configuration file and all files that it extends.
const MAXIMUM_BYTES: u64 = MIB;
/// The most entries of `extends` in a configuration file and all files that it extends.
const MAXIMUM_EXTENDS: usize = 64;
/// The most bytes of a key.
const MAXIMUM_KEY_BYTES: usize = 256;
/// The most bytes of a value, written as TOML.
const MAXIMUM_VALUE_BYTES: usize = 8192;

/// The files of a configuration as they are read.
#[derive(Debug)]
pub(super) struct ConfigFiles {
    /// The bytes that may still be read.
    bytes_left: u64,
    /// The entries of `extends` that may still be followed.
    extends_left: usize,
    /// The files that extend the present one, from the first.
    pub(super) trail: Vec<PathBuf>,
    /// The files merged with their bases, by canonical path: each is read once.
    pub(super) merged: HashMap<PathBuf, ConfigLayers>,
}

impl Default for ConfigFiles {
    fn default() -> Self {
        Self {
            bytes_left: MAXIMUM_BYTES,
            extends_left: MAXIMUM_EXTENDS,
            trail: Vec::new(),
            merged: HashMap::new(),
        }
    }
}

impl ConfigFiles {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read or is not UTF-8 text, or if it and the files before it are larger than 1 MiB
    /// together.
    pub(super) fn read_text(&mut self, path: &Path) -> io::Result<String> {
        let bytes = read_at_most(path, self.bytes_left).map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => io::Error::new(
                ErrorKind::FileTooLarge,
                "a configuration and the files that it extends have at most 1 MiB together",
            ),
            _ => error,
        })?;
        self.bytes_left -= bytes.len() as u64;
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
    }

    /// Counts an entry of `extends`. Returns the reason why it is refused.
    ///
    /// # Errors
    /// If there were 64 before.
    pub(super) fn count_extends(&mut self) -> Result<(), String> {
        match self.extends_left.checked_sub(1) {
            Some(left) => {
                self.extends_left = left;
                Ok(())
            }
            None => Err(format!(
                "more than {MAXIMUM_EXTENDS} files are extended, directly and through others; merge some \
                 of them"
            )),
        }
    }
}

/// Refuses keys and values that no configuration has. They would be quoted in messages.
///
/// # Errors
/// If a key has more than 256 bytes, or a value more than 8 KiB.
pub(super) fn check_lengths(table: &Table, origin: &str) -> Result<(), ConfigError> {
    let refused = |message: String| {
        let origin = origin.to_string();
        Err(ConfigError::Syntax { origin, message })
    };
    for (section, value) in table {
        check_key(section).or_else(refused)?;
        let keys = value.as_table().into_iter().flatten();
        let single = (!value.is_table()).then_some((section, value));
        for (key, value) in keys.chain(single) {
            check_key(key).or_else(refused)?;
            let length = value_length(value);
            if length > MAXIMUM_VALUE_BYTES {
                return refused(format!(
                    "the value of `{key}` has {length} bytes, but a value has at most \
                     {MAXIMUM_VALUE_BYTES}; shorten it"
                ));
            }
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    match key.len() <= MAXIMUM_KEY_BYTES {
        true => Ok(()),
        false => Err(format!(
            "a key has at most {MAXIMUM_KEY_BYTES} bytes; correct {}",
            shorten(key)
        )),
    }
}

fn value_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        value => value.to_string().len(),
    }
}
