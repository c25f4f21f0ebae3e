//! Paths as lists spell them: with `/` or Windows' `\`, relative to a folder or absolute.

use std::path::{Path, PathBuf};

use super::list_error::ListError;
use crate::shorten::shorten;

/// A file that a list names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedPath {
    /// Its path as listed, with `/` as separator.
    pub(super) name: String,
    /// Its path, which need not exist.
    pub(super) path: PathBuf,
}

/// Returns the file that a list spells as `text`, relative to `folder` unless it is absolute.
///
/// `\` separates folders, as on Windows, unless a file has exactly this name.
///
/// # Errors
/// [`ListError::Row`] if there is no such file and `text` is an address, or a path that only a shell or Windows
/// understands.
pub(super) fn listed_path(folder: &Path, text: &str) -> Result<ListedPath, ListError> {
    let as_listed = |name: &str| ListedPath {
        name: name.into(),
        path: folder.join(name),
    };
    let exact = as_listed(text);
    let special = text.contains('\\') || text.starts_with('~') || text.contains(':');
    if !special || exact.path.is_file() {
        return Ok(exact);
    }
    let reason = if text.contains("://") {
        "is an address, which is not read; write the path of a file on this machine"
    } else if text == "~" || text.starts_with("~/") || text.starts_with("~\\") {
        "starts with ~, which is not replaced in a list; write the whole path, or a path relative to the folder \
         of the images"
    } else if cfg!(not(windows)) && has_drive(text) {
        "names a drive of Windows; write a path relative to the folder of the images"
    } else {
        return Ok(as_listed(&text.replace('\\', "/")));
    };
    Err(ListError::row(format!(
        "the path {} {reason}",
        shorten(text)
    )))
}

/// Returns whether a path starts as `C:\` or `C:/` does.
fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    matches!(bytes, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::Tree;
    use super::*;

    #[test]
    fn back_slashes_separate_folders() {
        let tree = Tree::new();
        tree.images(&["shoes/0031.jpg"]);
        let found = listed_path(tree.root(), "shoes\\0031.jpg").unwrap();
        assert_eq!(found.name, "shoes/0031.jpg");
        assert_eq!(found.path, tree.root().join("shoes/0031.jpg"));
        let missing = listed_path(tree.root(), ".\\shoes\\9.jpg").unwrap();
        assert_eq!(missing.name, "./shoes/9.jpg");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_whose_name_has_a_back_slash_is_found() {
        let tree = Tree::new();
        tree.images(&["a\\b.jpg", "a/b.jpg", "c:/d.jpg"]);
        for name in ["a\\b.jpg", "c:/d.jpg"] {
            let found = listed_path(tree.root(), name).unwrap();
            assert_eq!(found.path, tree.root().join(name));
        }
    }

    #[cfg(unix)]
    #[test]
    fn addresses_home_folders_and_drives_are_explained() {
        for (text, expected) in [
            ("file:///data/a.jpg", "is an address, which is not read"),
            ("https://host/a.jpg", "is an address, which is not read"),
            ("~/photos/a.jpg", "starts with ~, which is not replaced"),
            ("C:\\photos\\a.jpg", "names a drive of Windows"),
            ("d:/photos/a.jpg", "names a drive of Windows"),
        ] {
            let message = listed_path(Path::new("photos"), text)
                .unwrap_err()
                .to_string();
            assert!(
                message.starts_with(&format!("the path {text} {expected}")),
                "{message}"
            );
        }
        for plain in ["a:b.jpg", "~a.jpg", "/data/a.jpg"] {
            assert_eq!(listed_path(Path::new("photos"), plain).unwrap().name, plain);
        }
    }
}
