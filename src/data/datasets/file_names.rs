//! Names of files and folders: those that are passed over, and names as text.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::folder_error::FolderError;

/// Files and folders that systems, archivers and file servers add, in any letter case. Hidden entries are
/// passed over too, `.DS_Store` and `.ipynb_checkpoints` among them.
const PASSED_OVER: [&str; 11] = [
    "#recycle",
    "$RECYCLE.BIN",
    "@eaDir",
    "@Recycle",
    "@__thumb",
    "__MACOSX",
    "desktop.ini",
    "ehthumbs.db",
    "lost+found",
    "System Volume Information",
    "Thumbs.db",
];

/// Returns whether an entry of a folder belongs to a system and not to the dataset.
pub(super) fn is_passed_over(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
        || PASSED_OVER
            .iter()
            .any(|passed_over| name.eq_ignore_ascii_case(passed_over))
}

/// Returns the path below `root` with `/` as separator, so that names are the same on every machine.
///
/// # Errors
/// [`FolderError::NotUtf8`] with the first folder or file whose name is not UTF-8. Replaced by other
/// characters, two names would become the same.
pub(super) fn name_below(root: &Path, path: &Path) -> Result<String, FolderError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut name = String::new();
    let mut parent = match below == path {
        true => PathBuf::new(),
        false => root.to_path_buf(),
    };
    for part in below {
        parent.push(part);
        let Some(part) = part.to_str() else {
            return Err(FolderError::NotUtf8 { path: parent });
        };
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(part);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_systems_are_passed_over_and_others_are_not() {
        for name in [
            "@eaDir",
            "__MACOSX",
            ".ipynb_checkpoints",
            "Thumbs.db",
            "thumbs.db",
            ".DS_Store",
            "Desktop.ini",
            "lost+found",
            "$Recycle.Bin",
            "System Volume Information",
            "._0.jpg",
        ] {
            assert!(is_passed_over(OsStr::new(name)), "{name}");
        }
        for name in ["MACOSX", "eaDir", "thumbs", "a.jpg", "@home", "recycle"] {
            assert!(!is_passed_over(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn names_are_relative_to_the_root() {
        let name = |path| name_below(Path::new("photos"), Path::new(path)).unwrap();
        assert_eq!(name("photos/café/1.jpg"), "café/1.jpg");
        assert_eq!(name("photos"), "");
        assert_eq!(name("elsewhere/1.jpg"), "elsewhere/1.jpg");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_refused_where_it_starts() {
        use std::os::unix::ffi::OsStrExt;
        let folder = Path::new(OsStr::from_bytes(b"photos/caf\xe9"));
        let error = name_below(Path::new("photos"), &folder.join("1.jpg")).unwrap_err();
        assert_eq!(
            error,
            FolderError::NotUtf8 {
                path: folder.into()
            }
        );
        // The root is not part of the name.
        assert_eq!(name_below(folder, &folder.join("1.jpg")).unwrap(), "1.jpg");
    }
}
