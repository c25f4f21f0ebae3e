//! JPEG files, decoded by libjpeg-turbo.
//!
//! A large image that will be shrunk is decoded at a half, a quarter or an eighth of its size: a smaller
//! inverse transform of its blocks of 8 × 8 frequencies is enough.

pub(super) mod segments;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use image::{DynamicImage, GrayImage, RgbImage};
use turbojpeg::{
    Colorspace, DecompressHeader, Decompressor, Error, Image, PixelFormat, ScalingFactor,
};

use super::failure::{Failure, plausible};
use super::stored::{Pixels, StoredImage};

/// The most scans of an image. A scan of few bytes makes a decoder visit every pixel; encoders write a
/// dozen.
const MAXIMUM_SCANS: u32 = 100;
/// A reduced image has at least this many times the pixels that are needed in each direction. After
/// resizing, it then differs from the full decoding by less than two levels in the mean, even if all of
/// it is fine detail. With twice the pixels, the difference was up to three levels.
const REDUCTION_MARGIN: u32 = 3;

/// Starts of libjpeg-turbo's warnings, which it also returns as errors: the image was decoded, as Pillow and
/// browsers do, although a part of the file is superfluous or damaged.
const WARNINGS: [&str; 6] = [
    "Corrupt JPEG data",
    "Inconsistent progression sequence",
    "Invalid SOS parameters",
    "Unknown Adobe color transform",
    "Warning: ",
    "Application transferred too",
];

/// Returns width and height in pixels, from the header.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), Failure> {
    let (_, header) = read_header(&mut decompressor()?, bytes)?;
    image_size(&header)
}

/// Decodes a file, possibly reduced to a shorter side of at least `min_side` pixels.
pub(super) fn decode(bytes: &[u8], min_side: Option<u32>) -> Result<StoredImage, Failure> {
    if !segments::is_complete(bytes) {
        return Err(Failure::Truncated);
    }
    Ok(StoredImage {
        pixels: decode_pixels(bytes, min_side)?,
        orientation: segments::orientation(bytes),
        profile: segments::color_profile(bytes),
    })
}

/// Decodes the pixels of a file, as [`decode`] does.
pub(super) fn decode_pixels(bytes: &[u8], min_side: Option<u32>) -> Result<Pixels, Failure> {
    let mut decompressor = decompressor()?;
    let (bytes, header) = read_header(&mut decompressor, bytes)?;
    let size = plausible(image_size(&header)?)?;
    let factor = match min_side {
        Some(min_side) if !header.is_lossless => reduction(size, min_side),
        _ => ScalingFactor::ONE,
    };
    (decompressor.set_scaling_factor(factor)).map_err(Failure::broken)?;
    let format = match header.colorspace {
        Colorspace::Gray => PixelFormat::GRAY,
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        Colorspace::RGB | Colorspace::YCbCr => PixelFormat::RGB,
    };
    let header = header.scaled(factor);
    let pitch = header.width * format.size();
    let mut pixels = vec![0; header.height * pitch];
    let image = Image {
        pixels: &mut pixels[..],
        width: header.width,
        pitch,
        height: header.height,
        format,
    };
    match decompressor.decompress(&bytes, image) {
        Err(error) if !is_warning(&error) => return Err(failure(error)),
        _ => {}
    }

    let (width, height) = image_size(&header)?;
    let plain = match format {
        PixelFormat::GRAY => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::CMYK => {
            // Stored inverted since Photoshop 2.5; Pillow assumes it of every file.
            pixels.iter_mut().for_each(|value| *value = 255 - *value);
            return Ok(Pixels::Cmyk {
                size: (width, height),
                inks: pixels,
            });
        }
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    Ok(Pixels::Plain(
        plain.expect("the buffer has the header's size"),
    ))
}

fn decompressor() -> Result<Decompressor, Failure> {
    let mut decompressor = Decompressor::new().map_err(Failure::broken)?;
    (decompressor.set_scan_limit(MAXIMUM_SCANS)).map_err(Failure::broken)?;
    Ok(decompressor)
}

/// Returns the header, and the file with this header in a form that can be decoded.
fn read_header<'a>(
    decompressor: &mut Decompressor,
    bytes: &'a [u8],
) -> Result<(Cow<'a, [u8]>, DecompressHeader), Failure> {
    match decompressor.read_header(bytes) {
        Ok(header) => Ok((Cow::Borrowed(bytes), header)),
        Err(error) if is_warning(&error) => {
            let plain = segments::with_plain_header(bytes);
            let header = decompressor.read_header(&plain).map_err(failure)?;
            Ok((Cow::Owned(plain), header))
        }
        Err(error) => Err(failure(error)),
    }
}

fn image_size(header: &DecompressHeader) -> Result<(u32, u32), Failure> {
    match (u32::try_from(header.width), u32::try_from(header.height)) {
        (Ok(width), Ok(height)) => Ok((width, height)),
        _ => Err(Failure::broken("its size is out of range")),
    }
}

fn is_warning(error: &Error) -> bool {
    matches!(error, Error::TurboJpegError(message) if WARNINGS.iter().any(|start| message.starts_with(start)))
}

fn failure(error: Error) -> Failure {
    match error {
        Error::TurboJpegError(message) if message.starts_with("Premature end of JPEG file") => {
            Failure::Truncated
        }
        Error::TurboJpegError(message) => Failure::Broken(message),
        other => Failure::broken(other),
    }
}

/// Returns the smallest scale to decode an image at, so that its shorter side has `min_side` pixels times
/// the margin.
fn reduction((width, height): (u32, u32), min_side: u32) -> ScalingFactor {
    let enough = u64::from(min_side) * u64::from(REDUCTION_MARGIN);
    let scales = [
        (8, ScalingFactor::ONE_EIGHTH),
        (4, ScalingFactor::ONE_QUARTER),
        (2, ScalingFactor::ONE_HALF),
    ];
    let fits = scales.into_iter().find(|(factor, _)| {
        // The last column of 403 pixels at a quarter, made of three pixels, would count as four: the image
        // would become wider than it is.
        let whole = width.is_multiple_of(*factor) && height.is_multiple_of(*factor);
        whole && u64::from(width.min(height) / factor) >= enough
    });
    fits.map_or(ScalingFactor::ONE, |(_, scale)| scale)
}
