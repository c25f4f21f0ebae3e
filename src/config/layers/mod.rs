//! Configuration files that extend others: `extends = "base.toml"`, or a list of files.
//!
//! Paths are relative to the folder of the file that extends. Later entries of a list override earlier
//! ones, and the file itself overrides them all, key by key. Bases may extend others. A file that makes
//! another *choice* than its bases (`data.dataset`, `loss.name`, `model.pooling`, `negatives.name`)
//! drops the keys of the choice that it replaces. `data.validation_share` replaces `data.folds` and
//! `data.fold`, and vice versa. A file that changes `data.image_size` and does not give `data.resize` drops
//! that of its bases, which was given for another size.
//!
//! Each file is read once, even if several extend it. All files together have at most 1 MiB and 64 entries of
//! `extends`.

mod limits;
mod lines;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::check_sections;
use super::known_keys::{CHOICES, DEFAULT_CONFIG, known_keys, lookup};
use super::overrides::extend;
use super::paths::expanded;
use super::renamed::{ConfigOrigin, present_key, replace_former_names};
use super::{ConfigError, EXTENDS};
use crate::data::config::{DataConfig, FOLD_KEYS, SHARE_KEYS, SIZE_KEYS};
use limits::{ConfigFiles, check_lengths};
use lines::key_lines;
use syntax::syntax_message;

/// A configuration file merged with the files that it extends.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigLayers {
    /// The keys, merged, without `extends`.
    pub(super) table: Table,
    /// Where each section and each dotted key is set.
    origins: BTreeMap<String, Origin>,
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    path: PathBuf,
    /// The line, from 1.
    line: usize,
}

impl ConfigLayers {
    /// Reads `path` and all that it extends.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not TOML, `extends` is not a path or a list of paths, a file
    /// extends itself, directly or through others, or the files exceed a limit.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut files = ConfigFiles::default();
        let text = files
            .read_text(path)
            .map_err(|source| match source.kind() {
                ErrorKind::FileTooLarge => ConfigError::Syntax {
                    origin: path.display().to_string(),
                    message: source.to_string(),
                },
                _ => ConfigError::Unreadable {
                    path: path.to_path_buf(),
                    source,
                },
            })?;
        Self::build(path, &text, &mut files)
    }

    /// Adds the file and the line that set the key of `error`, if a file sets it.
    pub(super) fn locate(&self, error: ConfigError) -> ConfigError {
        match error.key().and_then(|key| self.origins.get(key)) {
            Some(origin) => ConfigError::InFile {
                path: origin.path.clone(),
                line: origin.line,
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// A table that did not come from a file.
    pub(super) fn from_table(table: Table) -> Self {
        Self {
            table,
            origins: BTreeMap::new(),
        }
    }

    /// Forgets the file of `key`, whose value is overridden.
    pub(super) fn clear_origin(&mut self, key: &str) {
        self.origins.remove(key);
    }

    /// Merges the file `path` with its bases.
    fn build(path: &Path, text: &str, files: &mut ConfigFiles) -> Result<Self, ConfigError> {
        let mut table = parse(text, &path.display().to_string(), ConfigOrigin::User)?;
        let extends = table.remove(EXTENDS);
        let own = Self::from_file(path, text, table);
        check_sections(&own.table).map_err(|error| own.locate(error))?;
        files.trail.push(identity(path));
        let mut layers = Self::default();
        for base in bases(path, extends)? {
            layers.merge(Self::read_base(path, &base, files)?);
        }
        files.trail.pop();
        layers.merge(own);
        Ok(layers)
    }

    fn read_base(path: &Path, base: &str, files: &mut ConfigFiles) -> Result<Self, ConfigError> {
        let refused = |reason| Err(extends_error(&path.display().to_string(), base, reason));
        let expanded = match expanded(base, std::env::home_dir().as_deref()) {
            Ok(expanded) => expanded,
            Err(reason) => return refused(reason),
        };
        let base_path = expanded.as_deref().unwrap_or(base);
        let file = path.parent().unwrap_or(Path::new("")).join(base_path);
        let identity = identity(&file);
        if files.trail.contains(&identity) {
            return refused(
                "the file would extend itself, directly or through others; remove one of these \
                 `extends`"
                    .into(),
            );
        }
        if let Err(reason) = files.count_extends() {
            return refused(reason);
        }
        if let Some(merged) = files.merged.get(&identity) {
            return Ok(merged.clone());
        }
        match files.read_text(&file) {
            Ok(text) => {
                let merged = Self::build(&file, &text, files)?;
                files.merged.insert(identity, merged.clone());
                Ok(merged)
            }
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                refused(format!("{} is too large: {error}", file.display()))
            }
            Err(error) => refused(format!(
                "cannot read {}: {error}; give a path relative to the extending file",
                file.display()
            )),
        }
    }

    /// The keys of one file with this text.
    fn from_file(path: &Path, text: &str, table: Table) -> Self {
        let origins = key_lines(text).into_iter().map(|(key, line)| {
            let path = path.to_path_buf();
            (present_key(&key).to_string(), Origin { path, line })
        });
        Self {
            table,
            origins: origins.collect(),
        }
    }

    /// Overrides these keys with those of `over`.
    pub(super) fn merge(&mut self, over: Self) {
        for choice in CHOICES {
            if let Some(chosen) = lookup(&over.table, choice)
                && *chosen != self.value_or_default(choice)
            {
                self.drop_choice(choice, chosen);
            }
        }
        let gives = |keys: &[&str]| keys.iter().any(|key| lookup(&over.table, key).is_some());
        match (gives(&SHARE_KEYS), gives(&FOLD_KEYS)) {
            (true, false) => self.remove(&FOLD_KEYS),
            (false, true) => self.remove(&SHARE_KEYS),
            _ => {}
        }
        let (size, resize) = SIZE_KEYS;
        if let Some(given) = lookup(&over.table, size)
            && lookup(&over.table, resize).is_none()
            && *given != self.value_or_default(size)
        {
            self.remove(&[resize]);
        }
        extend(&mut self.table, over.table);
        self.origins.extend(over.origins);
    }

    /// The value of `key` so far, or its default, which it must have.
    fn value_or_default(&self, key: &str) -> Value {
        lookup(&self.table, key)
            .or_else(|| lookup(&DEFAULT_CONFIG, key))
            .expect("the key has a default")
            .clone()
    }

    /// Removes `keys`, which are dotted.
    fn remove(&mut self, keys: &[&str]) {
        for path in keys {
            let (section, key) = path.split_once('.').expect("a dotted key");
            if let Some(Value::Table(section)) = self.table.get_mut(section) {
                section.remove(key);
            }
            self.origins.remove(*path);
        }
    }

    /// Removes the choice and the keys that depend on it or do not apply to `chosen`. A misspelt key is kept, so that it is
    /// reported.
    fn drop_choice(&mut self, choice: &str, chosen: &Value) {
        let (section, _) = choice.split_once('.').expect("a dotted key");
        let shared = shared_keys(choice, chosen);
        let Some(Value::Table(keys)) = self.table.get_mut(section) else {
            return;
        };
        for path in known_keys() {
            if let Some((_, key)) = path.split_once('.').filter(|(of, _)| *of == section)
                && !shared.iter().any(|shared| shared == key)
            {
                keys.remove(key);
                self.origins.remove(path);
            }
        }
    }
}

/// The keys of a choice's section that do not depend on the choice.
fn shared_keys(choice: &str, chosen: &Value) -> Vec<String> {
    match choice {
        "data.dataset" => DataConfig::shared_keys(chosen.as_str().unwrap_or_default()),
        "loss.name" => vec!["reduction".into()],
        "model.pooling" => {
            let keys = known_keys().iter();
            keys.filter_map(|path| Some(path.strip_prefix("model.")?.to_string()))
                .filter(|key| key != "pooling" && !key.starts_with("gem_"))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Parses the TOML `text` of `origin`, with the present names of its keys.
///
/// # Errors
///
/// If it is not TOML, with line and column, has a key by two names, or a key or value that is too long.
pub(super) fn parse(text: &str, origin: &str, source: ConfigOrigin) -> Result<Table, ConfigError> {
    let table: Result<Table, toml::de::Error> = toml::from_str(text);
    let mut table = table.map_err(|error| ConfigError::Syntax {
        origin: origin.to_string(),
        message: syntax_message(text, &error),
    })?;
    check_lengths(&table, origin)?;
    replace_former_names(&mut table, origin, source)?;
    Ok(table)
}

/// Refuses a text that extends a file: without a folder, the path is not relative to anything.
///
/// # Errors
///
/// If `table`, which came from `origin`, has the key `extends`.
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

/// The canonical path of a file that several paths may lead to.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
