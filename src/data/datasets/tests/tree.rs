//! Small datasets for the tests of their readers.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::error::DatasetError;
use super::index::{ClassEntries, DatasetIndex};
use crate::progress::{Monitor, Task, Unit};

/// A listing that nothing cancels.
pub(super) fn unmonitored() -> Task<'static> {
    Monitor::none().task("listing images", None, Unit::Images)
}

/// A temporary folder with files in it.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and creates its parent folders.
    pub(super) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Writes empty files with names of images. Readers do not open them.
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

/// Returns the messages of the errors, without the folder `root`.
pub(super) fn error_messages(index: &DatasetIndex, root: &Path) -> Vec<String> {
    let messages = index.errors.iter().map(|error| message(error, root));
    messages.collect()
}

/// Returns the message of an error, without the folder `root`.
pub(super) fn message(error: &DatasetError, root: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", root.display()), "")
}

/// Returns the names of classes, each with the names of its images.
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
