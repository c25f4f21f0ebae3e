//! New files: written under a temporary name and renamed, so that a file is whole or not there, and
//! never over another one.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// Why a new file cannot be made.
#[derive(Debug, Error)]
pub enum NewFileError {
    /// What was to be written exists.
    #[error("{} exists and is not overwritten: give another name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder of what was to be written is not there.
    #[error("cannot write {}: there is no folder {}; create it first", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check the folder and its free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes sure that a file of this name can be made without overwriting anything.
///
/// # Errors
/// When something of this name exists, or its folder does not.
pub fn check_free(path: &Path) -> Result<(), NewFileError> {
    let folder = folder_of(path);
    if !folder.is_dir() || path.file_name().is_none() {
        return Err(NewFileError::NoFolder {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
        });
    }
    if path.symlink_metadata().is_ok() {
        return Err(NewFileError::Exists {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

/// Makes the file `path` of what `write` puts into a temporary one beside it.
///
/// # Errors
/// As [`check_free`], and when `write` fails or the file cannot get its name.
pub fn write_new(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> Result<(), NewFileError> {
    check_free(path)?;
    let unwritable = |source| NewFileError::Unwritable {
        path: path.to_path_buf(),
        source,
    };
    let mut temporary = tempfile::Builder::new();
    // The permissions of any other new file, instead of the owner's alone.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = temporary.tempfile_in(folder_of(path)).map_err(unwritable)?;
    write(&mut temporary).map_err(unwritable)?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(NewFileError::Exists {
                path: path.to_path_buf(),
            })
        }
        Err(error) => Err(unwritable(error.error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_written_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        write_new(&path, |file| file.write_all(b"first")).unwrap();
        let error = write_new(&path, |file| file.write_all(b"second")).unwrap_err();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn failed_writing_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        let error = write_new(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(error, Err(NewFileError::Unwritable { .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_free(&folder.path().join("nowhere/new.txt")).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }
}
