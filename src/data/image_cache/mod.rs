//! The image cache: resized versions of a split's images, decoded once into one file.
//!
//! The name of a file is a hash of everything that its contents depend on: each image's name, length
//! and modification time, the resizes, and how images are decoded. A run that finds the file opens it.
//! Otherwise it builds the file under a temporary name and renames it, while other runs wait.
//!
//! Opening verifies the whole file. A damaged file is built again. The cached bytes equal those of
//! decoding, so a run gives the same results with and without the cache.
//!
//! Each image is verified again when it is read. If the file was changed since it was opened, the images
//! are decoded instead.
//!
//! No cache is ever deleted. The user may delete one at any time.

mod build;
mod cache_file;
mod comparison;
mod error;
mod format;
mod key;
mod size;
mod spec;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use comparison::compare;
pub use comparison::{CacheComparison, CacheState};
pub use error::CacheError;
pub(super) use size::missing_bytes;
pub(super) use spec::{CacheOptions, CacheSpec};

use super::resize::{Pixels, ResizeSpec};
use crate::file_lock::{NotLocked, wait_for_lock};
use build::build;
use cache_file::CacheFile;
use format::{Damage, Index};
use key::key;

/// An open cache of a split's resized images.
pub(super) struct ImageCache {
    file: CacheFile,
    index: Index,
    resizes: Vec<ResizeSpec>,
    /// Whether it was reported that the file has changed since it was opened.
    change_reported: AtomicBool,
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
            match Self::read(&path, &key, spec)? {
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
        Self::read(&path, &key, spec)?.map_err(|damage| CacheError::Unwritable {
            path,
            reason: format!("the written file is damaged ({damage})"),
        })
    }

    /// Returns image `index` with this resize, or `None` if the image could not be read when the cache
    /// was built, the cache does not contain the resize, or the file has changed since it was opened. The
    /// first such change is logged.
    pub(super) fn get(&self, index: usize, resize: ResizeSpec) -> Option<Pixels> {
        let version = self.resizes.iter().position(|&cached| cached == resize)?;
        let entry = self.index.entry(index * self.resizes.len() + version)?;
        let reason = match entry.read(&self.file) {
            Ok(Ok(bytes)) => {
                return Some(Pixels {
                    width: entry.width,
                    height: entry.height,
                    bytes,
                });
            }
            Ok(Err(damage)) => damage.to_string(),
            Err(error) => error.to_string(),
        };
        if !self.change_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "image cache {} was changed or damaged while in use ({reason}); decoding its images \
                 instead, which is slower",
                self.file.path().display()
            );
        }
        None
    }

    /// Opens the file and verifies all of it.
    fn read(path: &Path, key: &str, spec: &CacheSpec) -> Result<Result<Self, Damage>, CacheError> {
        let unreadable = |error: std::io::Error| CacheError::unreadable(path, &error);
        let file = CacheFile::open(path).map_err(unreadable)?;
        let entries = spec.count * spec.options.resizes.len();
        let index = match Index::read(&file, key, entries).map_err(unreadable)? {
            Ok(index) => index,
            Err(damage) => return Ok(Err(damage)),
        };
        let options = &spec.options;
        if let Err(damage) = index.check(&file, options.workers, options.monitor())? {
            return Ok(Err(damage));
        }
        Ok(Ok(Self {
            file,
            index,
            resizes: spec.options.resizes.to_vec(),
            change_reported: AtomicBool::new(false),
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
