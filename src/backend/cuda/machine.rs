//! The files and the environment of this machine, or of a made-up one in tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where to look for files, and the environment variables.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Folder that absolute paths are looked up in: `/`, or a folder of a test.
    root: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Machine {
    /// This machine and the environment of this process.
    #[cfg(feature = "cuda")]
    pub(super) fn this() -> Self {
        let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            root: PathBuf::from("/"),
            variables: std::env::vars_os().filter_map(readable).collect(),
        }
    }

    /// The variable's value; `None` where it is unset or empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The variable's value as a path.
    pub(super) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }

    /// The folders that the variable `PATH` lists.
    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        std::env::split_paths(path).collect()
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.at(path).exists()
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.at(path).is_dir()
    }

    /// Names in the folder, sorted; none where it cannot be read.
    pub(super) fn entries(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.at(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

#[cfg(test)]
impl Machine {
    /// A machine with empty files at `files`, under `root`, and `variables`.
    pub(super) fn made_up(root: &Path, files: &[&str], variables: &[(&str, &str)]) -> Self {
        for file in files {
            let path = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Self {
            root: root.to_path_buf(),
            variables: variables
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        }
    }
}
