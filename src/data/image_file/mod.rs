//! Image files: a fast check that refuses foreign and truncated files, and decoding to 8 bit RGB.
//!
//! Read are JPEG (by libjpeg-turbo), PNG, WebP, GIF, BMP and TIFF, recognised by content. A module per format
//! decodes to a [`StoredImage`], which becomes upright sRGB. Imports go one way:
//!
//! ```text
//! upright
//! check
//! tiff
//! jpeg, png, webp, gif, bmp
//! stored
//! color_profile, failure
//! error
//! conversion
//! format
//! ```

mod bmp;
mod check;
mod color_profile;
mod conversion;
mod error;
mod failure;
mod format;
mod gif;
mod jpeg;
mod png;
mod stored;
#[cfg(test)]
mod tests;
mod tiff;
mod upright;
mod webp;

use std::io::ErrorKind;
use std::path::Path;

use image::{ImageFormat, RgbImage};

use crate::bounded_read::{GIB, read_at_most};
use crate::panic_capture::catch_quietly;

pub use check::check_image_file;
pub use error::ImageError;
pub(crate) use format::{FileKind, MAGIC_BYTES, RAW_EXTENSIONS};
pub(crate) use upright::upright_size;

use failure::Failure;
use stored::StoredImage;

/// The largest image file that is read. An uncompressed image of the most pixels with four channels of 16 bit
/// has 800 MB.
const MAXIMUM_FILE_BYTES: u64 = GIB;

/// Decodes the image file `path` to 8 bit sRGB, rotated by its EXIF orientation.
///
/// Grey becomes three equal channels, 16 bit are scaled to 8, transparent pixels are blended with white, and
/// of several images or frames the first is read. An embedded colour profile is applied. CMYK without a
/// profile is converted as Pillow does.
///
/// # Errors
/// [`ImageError::Unreadable`], [`ImageError::TooLarge`], [`ImageError::Unsupported`],
/// [`ImageError::Broken`], [`ImageError::Truncated`] or [`ImageError::ImplausibleSize`].
pub fn read_image_file(path: &Path) -> Result<RgbImage, ImageError> {
    decode_image(path, &read(path)?, None)
}

/// Decodes as [`read_image_file`] does. A large JPEG may be decoded at a half, a quarter or an eighth
/// of its size; its shorter side still has at least `min_side` pixels.
///
/// # Errors
/// As [`read_image_file`].
pub fn read_image_file_reduced(path: &Path, min_side: u32) -> Result<RgbImage, ImageError> {
    decode_image(path, &read(path)?, Some(min_side))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    read_at_most(path, MAXIMUM_FILE_BYTES).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => ImageError::TooLarge { path: path.into() },
        _ => ImageError::unreadable(path, &error),
    })
}

/// Decodes the contents of the file `path`, possibly reduced to a shorter side of at least `min_side`
/// pixels.
pub(crate) fn decode_image(
    path: &Path,
    bytes: &[u8],
    min_side: Option<u32>,
) -> Result<RgbImage, ImageError> {
    let format = image_format(path, bytes)?;
    // The file may be malicious: a panic in a decoder must not end the run.
    let decoded = catch_quietly(|| decode(format, bytes, min_side).map(StoredImage::into_rgb));
    let decoded = decoded.unwrap_or_else(|_| Err(Failure::broken("the decoder panicked")));
    decoded.map_err(|failure| failure.at(path))
}

fn decode(
    format: ImageFormat,
    bytes: &[u8],
    min_side: Option<u32>,
) -> Result<StoredImage, Failure> {
    match format {
        ImageFormat::Png => png::decode(bytes),
        ImageFormat::WebP => webp::decode(bytes),
        ImageFormat::Gif => gif::decode(bytes),
        ImageFormat::Bmp => bmp::decode(bytes),
        ImageFormat::Tiff => tiff::decode(bytes),
        _ => jpeg::decode(bytes, min_side),
    }
}

/// Returns the format by content. Extensions are often wrong.
fn image_format(path: &Path, head: &[u8]) -> Result<ImageFormat, ImageError> {
    let unsupported = |found: &str| ImageError::Unsupported {
        path: path.into(),
        found: found.into(),
    };
    match FileKind::of_file(path, head) {
        FileKind::Image(format) => Ok(format),
        FileKind::OtherImage(name) => Err(unsupported(name)),
        FileKind::NoImage if head.is_empty() => Err(ImageError::Truncated { path: path.into() }),
        FileKind::NoImage => Err(unsupported(conversion::describe_other(head))),
    }
}

/// Checks and decodes an image that is not large. Returns the messages of all errors.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) -> Vec<String> {
    const PIXELS: u64 = 1 << 18;
    let path = Path::new("fuzz");
    let size = image_format(path, bytes).and_then(|format| {
        let size = check::check_bytes(format, bytes);
        size.map_err(|failure| failure.at(path))
    });
    match size {
        Ok((width, height)) if u64::from(width) * u64::from(height) > PIXELS => Vec::new(),
        Ok(_) => [None, Some(4)]
            .into_iter()
            .filter_map(|min_side| decode_image(path, bytes, min_side).err())
            .map(|error| error.to_string())
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}
