//! Configuration files that build on others: `extends = "base.toml"`, or a list of files.
//!
//! Paths are relative to the folder of the file that says them. Later entries of a list override
//! earlier ones, the file itself overrides them all, key by key; bases may extend others. Where a
//! file makes another *choice* than what it extends (`data.dataset`, `loss.name`, `model.pooling`,
//! `negatives.name`), the keys of the choice it replaces go with it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{CHOICES, check_sections, known_keys, lookup};
use super::{Config, ConfigError};
use crate::data::config::{LoadingConfig, TransformConfig};

/// The top-level key that names the files to build on.
pub(super) const EXTENDS: &str = "extends";

/// A configuration file together with what it extends.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// The keys, merged, without `extends`.
    pub(super) table: Table,
    /// The file in which each section and each dotted key stands.
    origins: BTreeMap<String, PathBuf>,
}

impl Inherited {
    /// Reads `path` and all that it extends.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is not TOML, when `extends` is not a path or a list of paths,
    /// or when a file extends itself, directly or through others.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Self::build(path, &text, &mut Vec::new())
    }

    /// `error` with the file in which its key stands, if it stands in one.
    pub(super) fn locate(&self, error: ConfigError) -> ConfigError {
        match error.key().and_then(|key| self.origins.get(key)) {
            Some(path) => ConfigError::InFile {
                path: path.clone(),
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// A table that stands in no file.
    pub(super) fn of_table(table: Table) -> Self {
        Self {
            table,
            origins: BTreeMap::new(),
        }
    }

    /// Forgets where `key` stands, for another value than the file's has taken its place.
    pub(super) fn forget(&mut self, key: &str) {
        self.origins.remove(key);
    }

    /// `trail` holds the files that extend this one, from the first.
    fn build(path: &Path, text: &str, trail: &mut Vec<PathBuf>) -> Result<Self, ConfigError> {
        let mut table = parse(text, &path.display().to_string())?;
        let extends = table.remove(EXTENDS);
        let own = Self::of(path, table);
        check_sections(&own.table).map_err(|error| own.locate(error))?;
        trail.push(identity(path));
        let mut inherited = Self::default();
        for base in bases(path, extends)? {
            inherited.lay_over(Self::read_base(path, &base, trail)?);
        }
        trail.pop();
        inherited.lay_over(own);
        Ok(inherited)
    }

    fn read_base(path: &Path, base: &str, trail: &mut Vec<PathBuf>) -> Result<Self, ConfigError> {
        let file = path.parent().unwrap_or(Path::new("")).join(base);
        let refused = |reason| Err(extends_error(&path.display().to_string(), base, reason));
        if trail.contains(&identity(&file)) {
            return refused(
                "the file would extend itself, directly or through others; remove one of these \
                 `extends`"
                    .into(),
            );
        }
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::build(&file, &text, trail),
            Err(error) => refused(format!(
                "cannot read {}: {error}; give a path from the folder of the file that extends",
                file.display()
            )),
        }
    }

    /// The keys of one file.
    fn of(path: &Path, table: Table) -> Self {
        let mut origins = BTreeMap::new();
        for (section, value) in &table {
            origins.insert(section.clone(), path.to_path_buf());
            for key in value.as_table().into_iter().flat_map(Table::keys) {
                origins.insert(format!("{section}.{key}"), path.to_path_buf());
            }
        }
        Self { table, origins }
    }

    /// Lets the keys of `over` take the place of these.
    pub(super) fn lay_over(&mut self, over: Self) {
        for choice in CHOICES {
            if let Some(chosen) = lookup(&over.table, choice)
                && *chosen != self.choice(choice)
            {
                self.drop_choice(choice);
            }
        }
        for (section, value) in over.table {
            match (self.table.get_mut(&section), value) {
                (Some(Value::Table(under)), Value::Table(keys)) => under.extend(keys),
                (_, value) => {
                    self.table.insert(section, value);
                }
            }
        }
        self.origins.extend(over.origins);
    }

    /// What has been chosen so far, or stands as the default.
    fn choice(&self, choice: &str) -> Value {
        let defaults = Table::try_from(Config::default()).expect("a configuration is a table");
        lookup(&self.table, choice)
            .or_else(|| lookup(&defaults, choice))
            .expect("every choice has a default")
            .clone()
    }

    /// Removes the choice and the keys that exist for its sake. A misspelt key stays, to be
    /// reported.
    fn drop_choice(&mut self, choice: &str) {
        let (section, _) = choice.split_once('.').expect("a dotted key");
        let shared = shared_keys(choice);
        let Some(Value::Table(keys)) = self.table.get_mut(section) else {
            return;
        };
        for path in known_keys() {
            if let Some((_, key)) = path.split_once('.').filter(|(of, _)| *of == section)
                && !shared.iter().any(|shared| shared == key)
            {
                keys.remove(key);
                self.origins.remove(&path);
            }
        }
    }
}

/// The keys of a choice's section that do not depend on the choice.
fn shared_keys(choice: &str) -> Vec<String> {
    let of = |table: Result<Table, _>| {
        let table = table.expect("a section is a table");
        table.keys().cloned().collect::<Vec<_>>()
    };
    match choice {
        "data.dataset" => [
            of(Table::try_from(TransformConfig::default())),
            of(Table::try_from(LoadingConfig::default())),
        ]
        .concat(),
        "loss.name" => vec!["reduction".into()],
        "model.pooling" => {
            let keys = known_keys().into_iter();
            keys.filter_map(|path| Some(path.strip_prefix("model.")?.to_string()))
                .filter(|key| key != "pooling" && !key.starts_with("gem_"))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Parses the TOML `text` of `origin`.
///
/// # Errors
///
/// When it is not TOML, with line and column.
pub(super) fn parse(text: &str, origin: &str) -> Result<Table, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| ConfigError::Syntax {
        origin: origin.to_string(),
        message: error.to_string().trim_end().to_string(),
    })
}

/// Refuses a text that extends a file: without a folder of its own there is nothing to look in.
///
/// # Errors
///
/// When `table`, which came from `origin`, has the key `extends`.
pub(super) fn refuse_extends(table: &Table, origin: &str) -> Result<(), ConfigError> {
    match table.get(EXTENDS) {
        None => Ok(()),
        Some(value) => Err(extends_error(
            origin,
            value.clone(),
            "only a file given with --config can extend others; write the keys out instead".into(),
        )),
    }
}

/// The paths in `extends`, the value of that key in the file `path`.
fn bases(path: &Path, extends: Option<Value>) -> Result<Vec<String>, ConfigError> {
    let Some(extends) = extends else {
        return Ok(Vec::new());
    };
    let paths = match &extends {
        Value::String(base) => Some(vec![base.clone()]),
        Value::Array(bases) => bases
            .iter()
            .map(|base| base.as_str().map(String::from))
            .collect(),
        _ => None,
    };
    paths.ok_or_else(|| {
        extends_error(
            &path.display().to_string(),
            extends,
            "give a path or a list of paths, such as [\"base.toml\", \"../lifted.toml\"]".into(),
        )
    })
}

fn extends_error(origin: &str, value: impl Into<Value>, reason: String) -> ConfigError {
    ConfigError::Extends {
        origin: origin.to_string(),
        value: value.into().to_string(),
        reason,
    }
}

/// The one name of a file that may be reached by several paths.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
