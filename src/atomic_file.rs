//! New files: written under a temporary name and renamed, so that a file is whole or not there, and
//! never over another one.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::NamedTempFile;
use thiserror::Error;

/// Why a new file cannot be made.
#[derive(Debug, Error)]
pub enum AtomicFileError {
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
    /// The name does not say in which format to write.
    #[error("{} does not say in which format to write: let its name end in {endings}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The endings that do.
        endings: &'static str,
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
pub fn check_free(path: &Path) -> Result<(), AtomicFileError> {
    let folder = folder_of(path);
    if !folder.is_dir() || path.file_name().is_none() {
        return Err(AtomicFileError::NoFolder {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
        });
    }
    if path.symlink_metadata().is_ok() {
        return Err(AtomicFileError::Exists {
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
) -> Result<(), AtomicFileError> {
    let mut files = AtomicFiles::default();
    files.write(path, write)?;
    files.persist()
}

/// New files that belong together: all are there in the end, or none, so that what failed can be
/// tried again under the same names.
#[derive(Debug, Default)]
pub struct AtomicFiles {
    /// What is written whole, and the name that it is to get.
    written: Vec<(NamedTempFile, PathBuf)>,
}

impl AtomicFiles {
    /// Writes what will be the file `path` into a temporary one beside it.
    ///
    /// # Errors
    /// As [`check_free`], and when `write` fails.
    pub fn write(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> Result<(), AtomicFileError> {
        check_free(path)?;
        let unwritable = |source| unwritable(path, source);
        let mut temporary = tempfile::Builder::new();
        // The permissions of any other new file, instead of the owner's alone.
        #[cfg(unix)]
        temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut temporary = temporary.tempfile_in(folder_of(path)).map_err(unwritable)?;
        write(&mut temporary).map_err(unwritable)?;
        self.written.push((temporary, path.to_path_buf()));
        Ok(())
    }

    /// Gives the files their names, in the order in which they were written.
    ///
    /// # Errors
    /// When one cannot get its name; those that have got theirs here are removed again.
    pub fn persist(self) -> Result<(), AtomicFileError> {
        let mut named: Vec<PathBuf> = Vec::new();
        for (temporary, path) in self.written {
            if let Err(error) = temporary.persist_noclobber(&path) {
                // What cannot be removed either is told by the next attempt.
                named.iter().for_each(|file| drop(fs::remove_file(file)));
                return Err(match error.error.kind() {
                    io::ErrorKind::AlreadyExists => AtomicFileError::Exists { path },
                    _ => unwritable(&path, error.error),
                });
            }
            named.push(path);
        }
        Ok(())
    }
}

fn unwritable(path: &Path, source: io::Error) -> AtomicFileError {
    AtomicFileError::Unwritable {
        path: path.to_path_buf(),
        source,
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
        assert!(matches!(error, Err(AtomicFileError::Unwritable { .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn files_that_belong_together_are_all_there_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.txt", "b.txt", "c.txt"].map(|name| folder.path().join(name));
        let written = || {
            let mut files = AtomicFiles::default();
            for path in &paths {
                files.write(path, |file| file.write_all(b"new")).unwrap();
            }
            files
        };
        let files = written();
        fs::write(&paths[1], "meanwhile").unwrap();
        let error = files.persist().unwrap_err();
        assert!(matches!(&error, AtomicFileError::Exists { path } if *path == paths[1]));
        assert_eq!(fs::read(&paths[1]).unwrap(), b"meanwhile");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);

        fs::remove_file(&paths[1]).unwrap();
        written().persist().unwrap();
        assert!(paths.iter().all(|path| fs::read(path).unwrap() == b"new"));
        assert_eq!(folder.path().read_dir().unwrap().count(), 3);
    }

    #[test]
    fn missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_free(&folder.path().join("nowhere/new.txt")).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }
}
