//! The size of a cache before it is built.

use super::error::CacheError;
use super::key::key;
use super::spec::CacheSpec;
use super::{cache_path, format};
use crate::data::resize::ResizeSpec;

/// Bytes of a pixel.
const PIXEL: u64 = 3;

/// Images whose size is read to estimate that of all whose aspect ratio is kept.
const SAMPLE: usize = 16;

/// Returns the size of the cache in bytes; 0 if it exists. The size of images whose aspect ratio is kept is
/// estimated from a few.
///
/// # Errors
/// If the length or modification time of a file cannot be read, or the work is cancelled.
pub(in crate::data) fn missing_bytes(spec: &CacheSpec) -> Result<u64, CacheError> {
    if cache_path(spec, &key(spec)?).exists() {
        return Ok(0);
    }
    let resizes = spec.options.resizes;
    let entries = (spec.count * resizes.len() * format::ENTRY) as u64;
    let pixels = resizes.iter().map(|&resize| mean_pixels(spec, resize));
    let images = spec.count as f64 * pixels.sum::<f64>() * PIXEL as f64;
    Ok(format::HEADER as u64 + entries + images.round() as u64)
}

/// The mean number of pixels of an image after `resize`.
fn mean_pixels(spec: &CacheSpec, resize: ResizeSpec) -> f64 {
    let pixels = |size: (u32, u32)| f64::from(size.0) * f64::from(size.1);
    let side = match resize {
        ResizeSpec::Square(side) => return pixels((side, side)),
        ResizeSpec::ShorterSide(side) => side,
    };
    let step = spec.count.div_ceil(SAMPLE).max(1);
    let images = (0..spec.count).step_by(step);
    let sizes: Vec<f64> = images
        .filter_map(|image| spec.images.size(image).ok())
        .map(|size| pixels(resize.size(size)))
        .collect();
    match sizes.len() {
        0 => pixels((side, side)),
        count => sizes.iter().sum::<f64>() / count as f64,
    }
}
