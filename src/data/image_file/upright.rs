//! The size of an image after its orientation is applied.

use std::path::Path;

use image::ImageFormat;
use image::metadata::Orientation;

use super::check::check_image_file;
use super::error::ImageError;
use super::{image_format, jpeg, png, read, tiff, webp};
use crate::panic_capture::catch_quietly;

/// Returns width and height in pixels of the image in `path` after its EXIF orientation is applied. Reads the
/// whole file, but does not decode it.
///
/// # Errors
/// As [`check_image_file`].
pub(crate) fn upright_size(path: &Path) -> Result<(u32, u32), ImageError> {
    let (width, height) = check_image_file(path)?;
    let bytes = read(path)?;
    let format = image_format(path, &bytes)?;
    let orientation = catch_quietly(|| match format {
        ImageFormat::Jpeg => jpeg::segments::orientation(&bytes),
        ImageFormat::Png => png::orientation(&bytes),
        ImageFormat::WebP => webp::orientation(&bytes),
        ImageFormat::Tiff => tiff::orientation(&bytes),
        _ => Orientation::NoTransforms,
    });
    // Decoding reports an image that a decoder panics on.
    Ok(match orientation {
        Ok(
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH,
        ) => (height, width),
        _ => (width, height),
    })
}
