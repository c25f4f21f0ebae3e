//! Atomic creation of files: a file is written under a temporary name and renamed, so it is either
//! complete or absent. Only [`replace`] overwrites a file.
//!
//! A process that is killed leaves files whose names start with a dot and end with `.partial`. Writing the
//! same file again removes them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::temporary_files::{Registered, register};

/// A file cannot be created.
#[derive(Debug, Error)]
pub enum AtomicFileError {
    /// The file exists.
    #[error("{} exists and is not overwritten; choose another name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder of the file does not exist.
    #[error("cannot write {}: the folder {} does not exist; create it first", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}; check the folder and its free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
}

/// Checks that a file can be created at `path` without overwriting anything.
///
/// # Errors
/// If `path` exists, or its folder does not.
pub fn check_free(path: &Path) -> Result<(), AtomicFileError> {
    let folder = parent_folder(path);
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

/// Creates the file `path`. `write` writes its contents to a temporary file beside it, which is then
/// renamed.
///
/// # Errors
/// Those of [`check_free`], and if `write` or the renaming fails.
pub fn write_new(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> Result<(), AtomicFileError> {
    let mut files = AtomicFiles::default();
    files.write(path, write)?;
    files.persist()
}

/// Creates several files, all or none of them, so that a failed attempt can be repeated with the same
/// names.
#[derive(Debug, Default)]
pub struct AtomicFiles {
    /// The temporary files, and their final names.
    written: Vec<(NamedTempFile, PathBuf)>,
    registered: Vec<Registered>,
}

impl AtomicFiles {
    /// Adds the file `path`. `write` writes its contents to a temporary file beside it.
    ///
    /// # Errors
    /// Those of [`check_free`], and if `write` fails.
    pub fn write(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> Result<(), AtomicFileError> {
        check_free(path)?;
        let unwritable = |source| unwritable(path, source);
        let mut temporary = temporary_file(path).map_err(unwritable)?;
        self.registered.push(register(temporary.path()));
        write(&mut temporary).map_err(unwritable)?;
        self.written.push((temporary, path.to_path_buf()));
        Ok(())
    }

    /// Renames the temporary files to their final names, in the order in which they were added.
    ///
    /// # Errors
    /// If one cannot be renamed. Then the files that were renamed before are removed.
    pub fn persist(self) -> Result<(), AtomicFileError> {
        let mut named: Vec<PathBuf> = Vec::new();
        for (temporary, path) in self.written {
            if let Err(error) = temporary.persist_noclobber(&path) {
                // If a file cannot be removed, the next attempt reports that it exists.
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

/// The suffix of a file that is not complete.
const PARTIAL: &str = ".partial";

/// Characters of a file's name in the names of its temporary files. Names have limited length.
const NAME_CHARACTERS: usize = 40;

/// Creates a temporary file for `path` beside it, and removes those that killed processes left. A file is
/// locked as long as its process uses it.
fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let folder = parent_folder(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(NAME_CHARACTERS).collect();
    let prefix = format!(".{name}-");
    remove_left_over(folder, &prefix);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PARTIAL);
    // The permissions of other new files; by default only the owner could read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        let temporary = builder.tempfile_in(folder)?;
        // Some file systems have no locks; there, files that are left stay.
        let locked = temporary.as_file().lock();
        // Another process may remove the file before it is locked.
        if locked.is_err() || temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// Removes the temporary files with this prefix that no process has locked. What cannot be removed stays.
fn remove_left_over(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.starts_with(prefix) && name.ends_with(PARTIAL) {
            let Ok(file) = fs::File::open(entry.path()) else {
                continue;
            };
            if file.try_lock().is_ok() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Creates or replaces the file `path` durably: the bytes are written to `.NAME.partial` beside it and
/// synced, the file is renamed, and its folder is synced. After a crash, the file has the old contents or
/// the new ones. No other process may write to the folder.
///
/// # Errors
/// If the file cannot be written. Then the old contents remain.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(partial_name(&name));
    let written = (|| {
        let mut file = fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&partial, path)
    })();
    if let Err(error) = written {
        // It takes the space that the disk may lack.
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    sync_folder(parent_folder(path))
}

/// The name under which [`replace`] writes the file `name`.
pub fn partial_name(name: &str) -> String {
    format!(".{name}{PARTIAL}")
}

/// Makes the names of a folder's files durable.
///
/// # Errors
/// If the folder cannot be synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems cannot open a folder, and make names durable themselves.
    #[cfg(unix)]
    match fs::File::open(folder)?.sync_all() {
        // Some network file systems do not sync folders.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) => {}
        synced => synced?,
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Removes the files of `folder` that [`replace`] did not complete before a crash.
///
/// # Errors
/// If one cannot be removed.
pub fn remove_partial_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(PARTIAL) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn unwritable(path: &Path, source: io::Error) -> AtomicFileError {
    AtomicFileError::Unwritable {
        path: path.to_path_buf(),
        source,
    }
}

fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_has_the_new_bytes_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        for text in ["first", "second"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn partial_files_are_removed_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".run.json.partial", "run.json", ".hidden", "a.partial"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        remove_partial_files(folder.path()).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 3);
        assert!(!folder.path().join(".run.json.partial").exists());
    }

    #[test]
    fn temporary_files_of_killed_processes_are_removed_and_those_in_use_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        let names = [
            ".new.txt-a1.partial",
            ".new.txt-b2.partial",
            ".new.txt-a1",
            ".other-a1.partial",
        ];
        for name in names {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        let used = fs::File::open(folder.path().join(names[1])).unwrap();
        used.lock().unwrap();
        write_new(&path, |file| file.write_all(b"whole")).unwrap();
        assert!(!folder.path().join(names[0]).exists());
        for name in &names[1..] {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(folder.path().read_dir().unwrap().count(), 4);
    }

    #[test]
    fn long_names_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("é".repeat(120));
        write_new(&path, |file| file.write_all(b"whole")).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn existing_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        write_new(&path, |file| file.write_all(b"first")).unwrap();
        let error = write_new(&path, |file| file.write_all(b"second")).unwrap_err();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn failed_write_leaves_no_file() {
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
    fn all_files_are_created_or_none() {
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
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}
