//! Datasets of a few files for the tests of their readers.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::index::{ClassEntries, DatasetIndex};
use crate::data::DataError;

/// A temporary folder with files in it.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file with the folders above it.
    pub(super) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Writes files that are images by their names; readers open none.
    pub(super) fn images(&self, names: &[&str]) {
        for name in names {
            self.write(name, "");
        }
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.root().join(name)).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.root().join(from), self.root().join(to)).unwrap();
    }
}

/// The messages of a index's faults, without the folder `root`.
pub(super) fn faults(index: &DatasetIndex, root: &Path) -> Vec<String> {
    let messages = index.faults.iter().map(|fault| message(fault, root));
    messages.collect()
}

/// The message of an error, without the folder `root`.
pub(super) fn message(error: &DataError, root: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", root.display()), "")
}

/// The names of classes, each with the names of its images.
pub(super) fn contents(classes: &[ClassEntries]) -> Vec<(&str, Vec<&str>)> {
    let names = |class| {
        let class: &ClassEntries = class;
        class
            .images
            .iter()
            .map(|image| image.name.as_str())
            .collect()
    };
    classes
        .iter()
        .map(|class| (class.name.as_str(), names(class)))
        .collect()
}
