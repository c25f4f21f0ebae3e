//! The key of a cache: a hash of everything that its contents depend on.

use std::fs;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::error::CacheError;
use super::spec::CacheSpec;
use crate::data::image_file::ImageError;
use crate::data::parallel::in_parallel_until;
use crate::hex::hex;
use crate::progress::Unit;

/// Must be incremented when another release decodes or resizes to different bytes.
const PIXELS_VERSION: u32 = 2;

/// Returns the hash of everything that the contents depend on, in hexadecimal.
///
/// # Errors
/// If the length or modification time of a file cannot be read, or the work is cancelled.
pub(super) fn key(spec: &CacheSpec) -> Result<String, CacheError> {
    let mut hash = Sha256::new();
    let settings = (PIXELS_VERSION, spec.options.resizes, spec.options.min_side);
    hash.update(format!("{settings:?}\n"));
    let monitor = spec.options.monitor();
    let task = monitor.task("reading file dates", Some(spec.count), Unit::Images);
    let stamps = in_parallel_until(&task, spec.options.workers, spec.count, |image| {
        file_stamp(spec, image)
    })?;
    task.finish();
    for (image, stamp) in stamps.into_iter().enumerate() {
        hash.update(format!("{:?} {}\n", spec.images.name(image), stamp?));
    }
    Ok(hex(&hash.finalize()))
}

/// Returns the length and modification time of an image's file, empty for an image in memory. A file that
/// cannot be read is an error, unless broken images are skipped.
fn file_stamp(spec: &CacheSpec, image: usize) -> Result<String, ImageError> {
    let Some(path) = spec.images.path(image) else {
        return Ok(String::new());
    };
    let unreadable = |error: std::io::Error| ImageError::unreadable(path, &error);
    let stamp = fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?)));
    let (length, modified) = match stamp {
        Ok(stamp) => stamp,
        Err(_) if spec.options.skip_broken => return Ok("unreadable".into()),
        Err(error) => return Err(unreadable(error)),
    };
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{length} {}", since.as_nanos()))
}
