//! The image cache: resized versions of a split's images, decoded once into a memory-mapped file.
//!
//! The name of a file is a hash of everything that its contents depend on: each image's name, length
//! and modification time, the resizes, and how images are decoded. A run that finds the file opens it.
//! Otherwise it builds the file under a temporary name and renames it, while other runs wait.
//!
//! Opening verifies the whole file. A damaged file is built again. The cached bytes equal those of
//! decoding, so a run gives the same results with and without the cache.
//!
//! No cache is ever deleted. The user may delete one at any time except during a run.

mod build;
mod error;
mod format;
mod key;
mod size;
mod spec;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

pub use error::CacheError;
pub(super) use size::missing_bytes;
pub(super) use spec::{CacheOptions, CacheSpec};

use super::resize::{Pixels, ResizeSpec};
use crate::file_lock::{NotLocked, wait_for_lock};
use build::build;
use format::{Damage, Index};
use key::key;

/// An open cache of a split's resized images.
pub(super) struct ImageCache {
    map: Mmap,
    index: Index,
    resizes: Vec<ResizeSpec>,
}

impl ImageCache {
    /// Opens a cache, and builds it first if it does not exist or is damaged. If another run is building
    /// it, this waits.
    ///
    /// # Errors
    /// If an image cannot be read (and broken ones are not skipped), the cache cannot be written, or the
    /// work is cancelled.
    pub(super) fn open(spec: &CacheSpec) -> Result<Self, CacheError> {
        let key = key(spec)?;
        let path = cache_path(spec, &key);
        let lock = fs::create_dir_all(spec.options.folder)
            .map_err(|error| CacheError::unwritable(spec.options.folder, &error))
            .and_then(|()| lock(&path.with_extension("lock"), spec));
        // An existing cache can be read without a lock, for example in a folder without write access.
        if path.exists() && !matches!(lock, Err(CacheError::Cancelled)) {
            match Self::map(&path, &key, spec)? {
                Ok(cache) => return Ok(cache),
                Err(damage) => tracing::warn!(
                    "image cache {} is damaged ({damage}); building it again",
                    path.display()
                ),
            }
        }
        let _lock = lock?;
        build(spec, &path, &key)?;
        let megabytes = fs::metadata(&path).map_or(0, |file| file.len()) / 1_000_000;
        tracing::info!("cached images in {} ({megabytes} MB)", path.display());
        Self::map(&path, &key, spec)?.map_err(|damage| CacheError::Unwritable {
            path,
            reason: format!("the written file is damaged ({damage})"),
        })
    }

    /// Returns image `index` with this resize, or `None` if the image could not be read when the cache
    /// was built, or the cache does not contain the resize.
    pub(super) fn get(&self, index: usize, resize: ResizeSpec) -> Option<Pixels<'_>> {
        let version = self.resizes.iter().position(|&cached| cached == resize)?;
        let entry = self.index.entry(index * self.resizes.len() + version)?;
        Some(Pixels {
            width: entry.width,
            height: entry.height,
            bytes: Cow::Borrowed(&self.map[entry.range.clone()]),
        })
    }

    /// Maps the file and verifies all of it.
    fn map(path: &Path, key: &str, spec: &CacheSpec) -> Result<Result<Self, Damage>, CacheError> {
        let unreadable = |error: std::io::Error| CacheError::unreadable(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let map = map_file(&file).map_err(unreadable)?;
        let entries = spec.count * spec.options.resizes.len();
        let index = match Index::read(&map, key, entries) {
            Ok(index) => index,
            Err(damage) => return Ok(Err(damage)),
        };
        let options = &spec.options;
        if let Err(damage) = index.check(&map, options.workers, options.monitor())? {
            return Ok(Err(damage));
        }
        Ok(Ok(Self {
            map,
            index,
            resizes: spec.options.resizes.to_vec(),
        }))
    }
}

/// Returns the file of the cache with this key.
fn cache_path(spec: &CacheSpec, key: &str) -> PathBuf {
    spec.options.folder.join(format!("{key}.images"))
}

/// Returns the default folder of the caches: `loop-dml/images` in the user's cache folder.
///
/// # Errors
/// If the operating system names no cache folder.
pub(super) fn default_folder() -> Result<PathBuf, CacheError> {
    let folder = dirs::cache_dir().ok_or_else(|| CacheError::Unwritable {
        path: "loop-dml".into(),
        reason: "the operating system names no cache folder".into(),
    })?;
    Ok(folder.join("loop-dml").join("images"))
}

// The compiler cannot know that nobody changes a mapped file. This program never does: it only renames
// finished caches into place.
#[expect(unsafe_code, reason = "memory maps have no safe form")]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file is opened read-only and, by the convention above, never changed in place.
    unsafe { Mmap::map(file) }
}

/// Takes the lock under which a cache is built or verified. Dropping the file releases it.
fn lock(path: &Path, spec: &CacheSpec) -> Result<File, CacheError> {
    let lock = wait_for_lock(path, spec.options.cancellation, || {
        tracing::info!(
            "waiting for another process that caches the {} images",
            spec.split
        );
    });
    lock.map_err(|error| match error {
        NotLocked::Cancelled => CacheError::Cancelled,
        NotLocked::Io(error) => CacheError::unwritable(path, &error),
    })
}
