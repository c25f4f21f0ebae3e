//! The files and the environment of this machine, or of a simulated machine in tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file system and environment variables.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// The folder that absolute paths are relative to: `/`, or a folder of a test.
    root: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Machine {
    /// Returns this machine and the environment of this process.
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

    /// Returns the variable's value; `None` if it is unset or empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// Returns the variable's value as a path; `None` if it is unset or empty.
    pub(super) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from)
    }

    /// Returns the folders that the variable `PATH` lists.
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

    /// Returns the names in the folder, sorted; an empty list if it cannot be read.
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
    /// Returns a machine with empty files at `files`, under `root`, and `variables`.
    pub(super) fn with_files(root: &Path, files: &[&str], variables: &[(&str, &str)]) -> Self {
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
