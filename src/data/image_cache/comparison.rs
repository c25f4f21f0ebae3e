//! Comparing a cache with the images that it was built from, on request.
//!
//! The name of a cache depends on the length and time of each file, and not on its bytes. A file that was
//! replaced by one of the same length and time is found here: every image is decoded and resized again, and
//! its pixels are compared with the cached ones. A hash of the bytes in the cache would be faster, but would
//! not find a decoder that returns other pixels, and `data check` decodes every image anyway.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::cache_file::CacheFile;
use super::cache_path;
use super::error::CacheError;
use super::format::{Damage, Index};
use super::key::key;
use super::spec::CacheSpec;
use crate::data::parallel::in_parallel_until;
use crate::escape::path_with_bytes;
use crate::progress::Unit;

/// The comparison of a split's image cache with its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheComparison {
    /// `train`, `validation` or `test`.
    pub split: String,
    /// The file of the cache.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// The result.
    #[serde(flatten)]
    pub state: CacheState,
}

/// The result of comparing a cache with its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum CacheState {
    /// No cache was built for these images and this configuration.
    Missing,
    /// The file was cut or changed.
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// All images were compared.
    Compared {
        /// Number of images.
        images: usize,
        /// The images whose pixels differ: the file, or the name of an image without one.
        #[serde(serialize_with = "paths_as_text")]
        stale: Vec<PathBuf>,
    },
}

fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_with_bytes(path))
}

fn paths_as_text<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path_with_bytes(path)))
}

/// Decodes every image and compares its pixels with the cached ones. No cache is built.
///
/// # Errors
/// If the cache, or the length or modification time of a file, cannot be read, or the work is cancelled.
pub(in crate::data) fn compare(spec: &CacheSpec) -> Result<CacheComparison, CacheError> {
    let key = key(spec)?;
    let file = cache_path(spec, &key);
    let state = match file.exists() {
        true => state(spec, &file, &key)?,
        false => CacheState::Missing,
    };
    Ok(CacheComparison {
        split: spec.split.into(),
        file,
        state,
    })
}

fn state(spec: &CacheSpec, path: &Path, key: &str) -> Result<CacheState, CacheError> {
    let unreadable = |error: io::Error| CacheError::unreadable(path, &error);
    let damaged = |damage: Damage| CacheState::Damaged {
        reason: damage.to_string(),
    };
    let file = CacheFile::open(path).map_err(unreadable)?;
    let entries = spec.count * spec.options.resizes.len();
    let index = match Index::read(&file, key, entries).map_err(unreadable)? {
        Ok(index) => index,
        Err(damage) => return Ok(damaged(damage)),
    };
    let task = format!("comparing {} images with the cache", spec.split);
    let monitor = spec.options.monitor();
    let task = monitor.task(task, Some(spec.count), Unit::Images);
    let compared = in_parallel_until(&task, spec.options.workers, spec.count, |image| {
        is_cached(spec, &file, &index, image)
    })?;
    task.finish();
    let mut stale = Vec::new();
    for (image, is_cached) in compared.into_iter().enumerate() {
        match is_cached.map_err(unreadable)? {
            Ok(true) => {}
            Ok(false) => stale.push(match spec.images.path(image) {
                Some(path) => path.into(),
                None => spec.images.name(image).into(),
            }),
            Err(damage) => return Ok(damaged(damage)),
        }
    }
    Ok(CacheState::Compared {
        images: spec.count,
        stale,
    })
}

/// Returns whether the cache has the pixels of an image, or has none of an image that cannot be decoded.
fn is_cached(
    spec: &CacheSpec,
    file: &CacheFile,
    index: &Index,
    image: usize,
) -> io::Result<Result<bool, Damage>> {
    let decoded = spec.images.image(image, spec.options.min_side).ok();
    let resizes = spec.options.resizes;
    for (version, resize) in resizes.iter().enumerate() {
        let entry = index.entry(image * resizes.len() + version);
        let (entry, decoded) = match (entry, &decoded) {
            (Some(entry), Some(decoded)) => (entry, decoded),
            (None, None) => continue,
            _ => return Ok(Ok(false)),
        };
        let cached = match entry.read(file)? {
            Ok(cached) => cached,
            Err(damage) => return Ok(Err(damage)),
        };
        let pixels = resize.apply(decoded);
        if (pixels.width, pixels.height) != (entry.width, entry.height) || pixels.bytes != cached {
            return Ok(Ok(false));
        }
    }
    Ok(Ok(true))
}
