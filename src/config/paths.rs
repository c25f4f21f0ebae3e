//! Paths that begin with `~/`, as a shell writes them.

use std::path::{Path, is_separator};

use toml::{Table, Value};

use super::ConfigError;
use super::known_keys::lookup_mut;
use super::reference::path_keys;
use crate::setting::SettingError;

/// Replaces `~/` at the start of every path of `table` by the user's home folder.
///
/// # Errors
/// If a path is empty, or begins with `~` or `$` in a form that only a shell expands.
pub(super) fn expand_paths(table: &mut Table) -> Result<(), ConfigError> {
    for key in path_keys() {
        let Some(value) = lookup_mut(table, key) else {
            continue;
        };
        let Value::String(path) = &value else {
            continue;
        };
        // Without the images, the dataset's own check says what to give.
        if path.is_empty() && key != "data.root" {
            let reason = "is empty; give a path, or remove the key";
            return Err(SettingError::value(key, value.clone(), reason).into());
        }
        match expanded(path, std::env::home_dir().as_deref()) {
            Ok(None) => {}
            Ok(Some(path)) => *value = Value::String(path),
            Err(reason) => return Err(SettingError::value(key, value.clone(), reason).into()),
        }
    }
    Ok(())
}

/// Returns `path` with `home` for `~`, or `None` if nothing is to expand.
///
/// # Errors
/// If a shell would expand it otherwise, or there is no home folder. The error is what to write instead.
pub(crate) fn expanded(path: &str, home: Option<&Path>) -> Result<Option<String>, String> {
    if let Some(rest) = path.strip_prefix('~') {
        let below = rest.strip_prefix(is_separator);
        let Some(below) = below.or_else(|| rest.is_empty().then_some("")) else {
            return Err(format!(
                "only `~/` is expanded, to your home folder; write the whole path, or `./{path}` for a name \
                 that begins with `~`"
            ));
        };
        let home = home.and_then(Path::to_str).filter(|home| !home.is_empty());
        let Some(home) = home else {
            return Err("your home folder is not known; write the whole path".into());
        };
        let expanded = match below {
            "" => Path::new(home).to_path_buf(),
            below => Path::new(home).join(below.trim_start_matches(is_separator)),
        };
        return Ok(Some(expanded.to_string_lossy().into_owned()));
    }
    let is_name = |c: char| c.is_alphabetic() || ['_', '{'].contains(&c);
    match path.strip_prefix('$') {
        Some(rest) if rest.starts_with(is_name) => Err(format!(
            "variables are not expanded here; write the whole path, `~/` for your home folder, or `./{path}` \
             for a name that begins with `$`"
        )),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, QUICKSTART};
    use crate::data::config::DatasetConfig;

    fn home(path: &str) -> Result<Option<String>, String> {
        expanded(path, Some(Path::new("/home/ada")))
    }

    #[test]
    fn tilde_and_separator_are_the_home_folder() {
        for (path, expected) in [
            ("~", "/home/ada"),
            ("~/", "/home/ada"),
            ("~/photos", "/home/ada/photos"),
            ("~/a/~/$b", "/home/ada/a/~/$b"),
        ] {
            assert_eq!(home(path).unwrap().as_deref(), Some(expected));
        }
        for path in [
            "photos", "./~ada", "a/~/b", "/$x", "$", "$1", "imagenet", "",
        ] {
            assert_eq!(home(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn other_users_and_variables_are_explained() {
        for path in ["~ada", "~ada/photos", "~~"] {
            assert!(home(path).unwrap_err().contains("only `~/` is expanded"));
        }
        for path in ["$HOME/photos", "${HOME}/photos", "$DATA"] {
            let reason = home(path).unwrap_err();
            assert!(reason.contains("variables are not expanded"), "{reason}");
        }
        assert!(expanded("~/x", None).unwrap_err().contains("whole path"));
    }

    /// The keys of which every one is a path, and a configuration that has them.
    const PATHS: [(&str, &str); 5] = [
        ("data.root", "data.dataset=manifest"),
        ("data.images", "data.dataset=manifest"),
        ("data.labels", "data.dataset=embeddings"),
        ("data.cache_dir", "training.seed=1"),
        ("model.weights", "training.seed=1"),
    ];

    fn parsed(sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Config::parse(QUICKSTART, "test", &sets).map_err(|error| error.to_string())
    }

    #[test]
    fn every_path_is_expanded_and_becomes_absolute() {
        let mut keys: Vec<&str> = path_keys().collect();
        keys.sort_unstable();
        keys.dedup();
        let mut paths = PATHS.map(|(key, _)| key);
        paths.sort_unstable();
        assert_eq!(keys, paths);
        let home = std::env::home_dir().unwrap();
        for (key, beside) in PATHS {
            let config = parsed(&[beside, &format!("{key}=~/x")]).unwrap();
            let table = Table::try_from(config).unwrap();
            let value = crate::config::known_keys::lookup(&table, key).unwrap();
            assert_eq!(value.as_str(), home.join("x").to_str(), "{key}");
            let message = parsed(&[beside, &format!("{key}=~ada/x")]).unwrap_err();
            assert!(
                message.starts_with(&format!("`{key} = \"~ada/x\"`: only `~/`")),
                "{message}"
            );
            let config = parsed(&[beside, &format!("{key}=x")]);
            let mut config = config.unwrap();
            match &mut config.data.source {
                DatasetConfig::Manifest(keys) if key != "data.root" => {
                    keys.root = "images.csv".into();
                }
                DatasetConfig::Embeddings(keys) => keys.root = "features.npy".into(),
                _ => {}
            }
            let table = Table::try_from(config.with_absolute_root().unwrap()).unwrap();
            let value = crate::config::known_keys::lookup(&table, key)
                .unwrap()
                .as_str();
            assert!(Path::new(value.unwrap()).is_absolute(), "{key}");
        }
    }

    #[test]
    fn empty_path_is_refused() {
        for key in ["data.cache_dir", "model.weights"] {
            let message = parsed(&[&format!("{key}=")]).unwrap_err();
            assert_eq!(
                message,
                format!("`{key} = \"\"`: is empty; give a path, or remove the key")
            );
        }
    }
}
