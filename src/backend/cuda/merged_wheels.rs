//! A folder of links, in the user's cache folder, that merges NVIDIA's wheels.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::machine::Machine;
use super::toolkit_error::ToolkitError;
use super::wheels::{Wheels, links};
use crate::hex::hex;

/// Returns the folder for `wheels`, after creating it if it does not exist. Its name depends on all
/// links, so updated wheels get another folder.
///
/// # Errors
///
/// If the folder cannot be written, or the user has no cache folder.
pub(super) fn folder(machine: &Machine, wheels: &Wheels) -> Result<PathBuf, ToolkitError> {
    let parent = PathBuf::from("loop-dml/cuda");
    let parent = dirs::cache_dir().unwrap_or_default().join(parent);
    let links = links(machine, wheels);
    let folder = parent.join(name(&links));
    if folder.is_absolute() && folder.is_dir() {
        return Ok(folder);
    }
    let created = if folder.is_absolute() {
        create(&parent, &folder, &links)
    } else {
        Err(io::Error::other("the user has no cache folder"))
    };
    match created {
        Ok(()) => Ok(folder),
        Err(error) => Err(ToolkitError::LinksUnwritable {
            folder,
            reason: error.to_string(),
        }),
    }
}

fn name(links: &BTreeMap<PathBuf, PathBuf>) -> String {
    let mut digest = Sha256::new();
    for path in links.iter().flat_map(|(link, target)| [link, target]) {
        digest.update(path.as_os_str().as_bytes());
        digest.update([0]);
    }
    let digest = digest.finalize();
    hex(&digest[..8])
}

/// Creates the links under a temporary name, because several processes may start at once.
fn create(parent: &Path, folder: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    let temporary = tempfile::tempdir_in(parent)?;
    for (link, target) in links {
        let link = temporary.path().join(link);
        fs::create_dir_all(link.parent().unwrap_or(&link))?;
        symlink(target, link)?;
    }
    match fs::rename(temporary.path(), folder) {
        // Another process created it meanwhile.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_created_once() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("mma.h");
        fs::write(&target, "// header").unwrap();
        let links = BTreeMap::from([(PathBuf::from("include/mma.h"), target)]);
        let parent = root.path().join("cuda");
        let folder = parent.join(name(&links));
        for _ in 0..2 {
            create(&parent, &folder, &links).unwrap();
            let header = fs::read_to_string(folder.join("include/mma.h")).unwrap();
            assert_eq!(header, "// header");
        }
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
    }
}
