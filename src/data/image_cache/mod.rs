//! The cache: the resizes of a split's images, decoded once into a file that is mapped to memory.
//!
//! A file is named by a hash of all that its contents depend on: each image's name, length and time
//! of change, the resizes, and how images are decoded. Whoever finds the file opens it; whoever does
//! not builds it under a temporary name and renames it, while others wait. A file is checked as a
//! whole when it is opened and built anew if damaged. What comes from it is byte for byte what
//! decoding would give, so that a run with the cache is the run without it. None is ever deleted: that
//! is left to the user, who may do so at any time but during a run.

mod build;
mod format;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::resize::{Pixels, ResizeSpec};
use super::{DataError, Split};
use crate::cancellation::CancellationToken;
use crate::file_lock::{NotLocked, wait_for_lock};
use crate::progress::ProgressObserver;
use build::Builder;
use format::{Damage, Index};

/// What is put into a cache, and where.
#[derive(Clone, Copy)]
pub(super) struct CacheSpec<'a> {
    /// The folder of the caches; created if need be.
    pub(super) folder: &'a Path,
    /// The resizes that the transform needs of each image.
    pub(super) resizes: &'a [ResizeSpec],
    /// The shorter side, in pixels, that originals are decoded with.
    pub(super) min_side: Option<u32>,
    /// Whether an image that cannot be read is left out instead of being an error.
    pub(super) skip_broken: bool,
    /// Threads that decode, and check.
    pub(super) workers: usize,
    /// Asked several times a second.
    pub(super) cancellation: &'a CancellationToken,
    /// Shown the images that are decoded.
    pub(super) progress: &'a dyn ProgressObserver,
}

/// The resizes of a split's images in a file.
pub(super) struct ImageCache {
    map: Mmap,
    index: Index,
    resizes: Vec<ResizeSpec>,
}

impl ImageCache {
    /// Opens the cache of `split`, building it where it is not there or damaged. A cache that another
    /// run is building is waited for.
    ///
    /// # Errors
    /// When an image cannot be read (and broken ones are not skipped), the cache cannot be written,
    /// or the work is interrupted.
    pub(super) fn open(split: &Split, spec: CacheSpec) -> Result<Self, DataError> {
        let key = format::key(split, &spec)?;
        let path = spec.folder.join(format!("{key}.images"));
        let lock = fs::create_dir_all(spec.folder)
            .map_err(|error| unwritable(spec.folder, error))
            .and_then(|()| lock(&path.with_extension("lock"), split, spec.cancellation));
        // A cache that is there serves without a lock too, from a folder that only others may write.
        if path.exists() && !matches!(lock, Err(DataError::Cancelled)) {
            match Self::map(&path, &key, split, &spec)? {
                Ok(cache) => return Ok(cache),
                Err(damage) => tracing::warn!(
                    "image cache {} is damaged ({damage}); it is built again",
                    path.display()
                ),
            }
        }
        let _lock = lock?;
        Builder::new(split, &spec).write(&path, &key)?;
        let megabytes = fs::metadata(&path).map_or(0, |file| file.len()) / 1_000_000;
        tracing::info!("cached images in {} ({megabytes} MB)", path.display());
        Self::map(&path, &key, split, &spec)?.map_err(|damage| DataError::CacheUnwritable {
            path,
            reason: format!("what was written cannot be read back ({damage})"),
        })
    }

    /// A resize of image `index`; nothing if the image could not be read when the cache was made.
    pub(super) fn get(&self, index: usize, resize: ResizeSpec) -> Option<Pixels<'_>> {
        let place = self.resizes.iter().position(|&cache| cache == resize)?;
        let entry = self.index.entry(index * self.resizes.len() + place)?;
        Some(Pixels {
            width: entry.width,
            height: entry.height,
            bytes: Cow::Borrowed(&self.map[entry.range.clone()]),
        })
    }

    /// Maps the file and checks all of it.
    fn map(
        path: &Path,
        key: &str,
        split: &Split,
        spec: &CacheSpec,
    ) -> Result<Result<Self, Damage>, DataError> {
        let unreadable = |error: std::io::Error| DataError::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        };
        let file = File::open(path).map_err(unreadable)?;
        let map = map_file(&file).map_err(unreadable)?;
        let entries = split.labels().len() * spec.resizes.len();
        let index = match Index::read(&map, key, entries) {
            Ok(index) => index,
            Err(damage) => return Ok(Err(damage)),
        };
        if let Err(damage) = index.check(&map, spec.workers, spec.cancellation)? {
            return Ok(Err(damage));
        }
        Ok(Ok(Self {
            map,
            index,
            resizes: spec.resizes.to_vec(),
        }))
    }
}

/// The folder of the caches where the configuration names none: `loop-dml` in the user's.
///
/// # Errors
/// When the system knows no such folder.
pub(super) fn default_folder() -> Result<PathBuf, DataError> {
    let folder = dirs::cache_dir().ok_or_else(|| DataError::CacheUnwritable {
        path: "loop-dml".into(),
        reason: "the system names no folder for caches".into(),
    })?;
    Ok(folder.join("loop-dml").join("images"))
}

// Mapping is the one thing that cannot be promised to the compiler: that nobody changes the file
// meanwhile. This program never does: caches are only ever renamed into place.
#[expect(unsafe_code, reason = "memory maps have no safe form")]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file is read only, and by the convention above never changed in place.
    unsafe { Mmap::map(file) }
}

/// Takes the lock under which the cache is built, or checked; it ends with the file that is given.
fn lock(path: &Path, split: &Split, cancellation: &CancellationToken) -> Result<File, DataError> {
    let lock = wait_for_lock(path, cancellation, || {
        tracing::info!(
            "waiting for another process that caches the {} images",
            split.name()
        );
    });
    lock.map_err(|error| match error {
        NotLocked::Cancelled => DataError::Cancelled,
        NotLocked::Io(error) => unwritable(path, error),
    })
}

fn unwritable(path: &Path, error: std::io::Error) -> DataError {
    DataError::CacheUnwritable {
        path: path.into(),
        reason: error.to_string(),
    }
}
