//! Keys and paths of a sweep file, with errors that name the file and the key.

use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::config::{check_key, expanded_path};
use crate::sweep::SweepError;

/// A known key with a similarity (Jaro-Winkler) above this is suggested for an unknown one.
const SIMILAR: f64 = 0.7;

/// Reads the parts of a sweep file; its errors name the file.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
}

impl Reader<'_> {
    pub(super) fn value_error(&self, key: impl ToString, reason: impl ToString) -> SweepError {
        SweepError::Value {
            path: self.path.to_path_buf(),
            key: key.to_string(),
            reason: reason.to_string(),
        }
    }

    /// Checks that `table`, the section `section`, has known keys only.
    pub(super) fn check_keys(
        &self,
        section: &str,
        table: &Table,
        known: &[&str],
    ) -> Result<(), SweepError> {
        let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let full = |key: &str| match section {
            "" => key.to_string(),
            section => format!("{section}.{key}"),
        };
        let nearest = nearest(key, known.iter().copied());
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{}`?", full(nearest)),
            // A configuration key at the top is a common mistake.
            None if section.is_empty() && table[key].is_table() => format!(
                "keys of the configuration belong to [set] or [axes], such as [set.{key}]; the keys of a sweep file \
                 are {}",
                known.join(", ")
            ),
            None => format!("the keys are {}", known.join(", ")),
        };
        Err(SweepError::UnknownKey {
            path: self.path.to_path_buf(),
            key: full(key),
            hint,
        })
    }

    pub(super) fn check_config_key(&self, key: &str) -> Result<(), SweepError> {
        check_key(key).map_err(|source| SweepError::Config {
            path: self.path.to_path_buf(),
            source,
        })
    }

    /// A section, which is empty if it is absent.
    pub(super) fn section(&self, table: &Table, name: &str) -> Result<Table, SweepError> {
        match table.get(name) {
            None => Ok(Table::new()),
            Some(Value::Table(section)) => Ok(section.clone()),
            Some(_) => Err(self.value_error(
                name,
                format!("is a section: write [{name}] and its keys below it"),
            )),
        }
    }

    /// The path that a key names.
    pub(super) fn path_at(&self, table: &Table, key: &str) -> Result<Option<PathBuf>, SweepError> {
        match table.get(key) {
            None => Ok(None),
            Some(Value::String(path)) if !path.trim().is_empty() => {
                let expanded = expanded_path(path, std::env::home_dir().as_deref());
                let expanded = expanded.map_err(|reason| self.value_error(key, reason))?;
                Ok(Some(expanded.unwrap_or_else(|| path.clone()).into()))
            }
            Some(_) => Err(self.value_error(key, "give a path in quotes")),
        }
    }

    /// The base, whose path is relative to the file.
    pub(super) fn base(&self, table: &Table) -> Result<Option<PathBuf>, SweepError> {
        let Some(base) = self.path_at(table, "base")? else {
            return Ok(None);
        };
        let base = self.path.parent().unwrap_or(Path::new("")).join(base);
        match base.is_file() {
            true => Ok(Some(simplified(base))),
            false => {
                let reason = format!(
                    "{} does not exist; give the path of a configuration, relative to the sweep file",
                    base.display()
                );
                Err(self.value_error("base", reason))
            }
        }
    }
}

/// The most similar of `known`, if one is similar.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, last))
    };
    known
        .map(|known| (similarity(known), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The path without `NAME/..`, if it leads to the same file.
fn simplified(path: PathBuf) -> PathBuf {
    let mut simple = PathBuf::new();
    for part in path.components() {
        let last = simple.components().next_back();
        match (part, last) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                simple.pop();
            }
            (Component::CurDir, _) => {}
            _ => simple.push(part),
        }
    }
    // A link in place of NAME leads elsewhere.
    match (simple.canonicalize(), path.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => simple,
        _ => path,
    }
}
