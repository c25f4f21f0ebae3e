//! JPEG and PNG files: a fast check that refuses foreign and truncated files, and decoding to 8 bit RGB.
//!
//! PNG's decoder reports a truncated file. JPEG's decoder fills in what is missing. Therefore the end
//! of the image is searched in the file.
//!
//! A large JPEG that will be shrunk is decoded at a half, a quarter or an eighth of its size: a smaller
//! inverse transform of its blocks of 8 × 8 frequencies is enough.

mod end;
mod error;
mod format;
mod png_chunks;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::bounded_read::{GIB, MIB, read_at_most};
use crate::panic_capture::catch_quietly;

pub use error::ImageError;
pub(crate) use format::{FileKind, MAGIC_BYTES};

use end::{end_marker, is_complete};
use png_chunks::{png_size, without_text_and_profiles};

/// Bytes read to find the header. A file with a longer header is read whole.
const HEAD_BYTES: u64 = 16 * 1024;

/// The largest image that is decoded, in pixels: 300 MB as 8 bit RGB.
pub(crate) const MAXIMUM_PIXELS: u64 = 100_000_000;
/// The largest image file that is read. An uncompressed image of [`MAXIMUM_PIXELS`] with four channels of
/// 16 bit has 800 MB.
const MAXIMUM_FILE_BYTES: u64 = GIB;
/// The most memory that a decoder may use for what is not pixels, such as EXIF data.
const MAXIMUM_METADATA_BYTES: u64 = 64 * MIB;
/// The longer side of a decoded image must be less than this many times the shorter one. Resized by
/// its shorter side, a line of a million pixels would become gigabytes.
const MAXIMUM_ASPECT: u32 = 50;
/// A reduced JPEG has at least this many times the pixels that are needed in each direction. After
/// resizing, it then differs from the full decoding by less than two levels in the mean, even if all of
/// it is fine detail. With twice the pixels, the difference was up to three levels.
const REDUCTION_MARGIN: u32 = 3;

/// Returns width and height in pixels of the image in `path` as stored, from its header.
///
/// The check finds other formats, broken headers and files without the end of their image. It does not
/// decode.
///
/// # Errors
/// [`ImageError::Unreadable`], [`ImageError::TooLarge`], [`ImageError::Unsupported`],
/// [`ImageError::Broken`], [`ImageError::Truncated`] or [`ImageError::ImplausibleSize`].
pub fn check_image_file(path: &Path) -> Result<(u32, u32), ImageError> {
    let size = stored_size(path)?;
    check_size(path, size)?;
    Ok(size)
}

fn stored_size(path: &Path) -> Result<(u32, u32), ImageError> {
    let unreadable = |error| ImageError::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut head = Vec::with_capacity(HEAD_BYTES.min(length) as usize);
    (&mut file)
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let format = image_format(path, &head)?;
    let end = end_marker(format);

    let mut tail = vec![0; end.len().min(length as usize)];
    file.seek(SeekFrom::End(-(tail.len() as i64)))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(unreadable)?;
    if tail == end
        && let Ok(size) = header_size(format, &head)
    {
        return Ok(size);
    }
    // Rare: a long header, bytes after the image, or a broken file.
    let bytes = read(path)?;
    let size = header_size(format, &bytes);
    if !is_complete(format, &bytes) {
        return Err(ImageError::Truncated { path: path.into() });
    }
    size.map_err(|error| ImageError::broken(path, error))
}

/// Returns width and height in pixels of the image in `path` after its EXIF orientation is applied. It does not
/// decode.
///
/// # Errors
/// As [`check_image_file`].
pub(crate) fn upright_size(path: &Path) -> Result<(u32, u32), ImageError> {
    let unreadable = |error| ImageError::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let format = image_format(path, &head)?;
    if let Ok(size) = header_upright_size(format, &head) {
        return Ok(size);
    }
    // Rare: a long header, for example with a preview.
    let size = header_upright_size(format, &read(path)?);
    size.map_err(|error| ImageError::broken(path, error))
}

/// Decodes the JPEG or PNG file `path` to 8 bit RGB, rotated by its EXIF orientation.
///
/// Grey becomes three equal channels, 16 bit are scaled to 8, and transparent pixels are blended with
/// white. Embedded colour profiles are not applied.
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
    if !is_complete(format, bytes) {
        return Err(ImageError::Truncated { path: path.into() });
    }
    if let (ImageFormat::Png, Some(size)) = (format, png_size(bytes)) {
        check_size(path, size)?;
    }
    // The file may be malicious: a panic in a decoder must not end the run.
    let decoded = catch_quietly(|| {
        let bytes = needed_bytes(format, bytes);
        let decoder = reader(format, &bytes).into_decoder();
        let decoder = decoder.map_err(|error| ImageError::broken(path, error))?;
        check_size(path, decoder.dimensions())?;
        decode(decoder, format, &bytes, min_side).map_err(|reason| ImageError::broken(path, reason))
    });
    match decoded {
        Ok(image) => image,
        Err(_) => Err(ImageError::broken(path, "the decoder panicked")),
    }
}

fn check_size(path: &Path, (width, height): (u32, u32)) -> Result<(), ImageError> {
    let (shorter, longer) = (width.min(height), width.max(height));
    let hint = match u64::from(width) * u64::from(height) {
        0 => "replace or remove it",
        pixels if pixels > MAXIMUM_PIXELS => "shrink it to at most 100 million, or remove it",
        _ if longer / shorter >= MAXIMUM_ASPECT => {
            "one side is at least 50 times the other; crop or remove it"
        }
        _ => return Ok(()),
    };
    Err(ImageError::ImplausibleSize {
        path: path.into(),
        width,
        height,
        hint,
    })
}

/// Returns the format by content, JPEG or PNG. Extensions are often wrong.
fn image_format(path: &Path, head: &[u8]) -> Result<ImageFormat, ImageError> {
    let unsupported = |found: String| ImageError::Unsupported {
        path: path.into(),
        found,
    };
    match FileKind::of(head) {
        FileKind::Image(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => Ok(format),
        FileKind::Image(other) => Err(unsupported(format!("a {other:?} file"))),
        FileKind::OtherImage(name) => Err(unsupported(name.into())),
        FileKind::NoImage if head.is_empty() => Err(ImageError::Truncated { path: path.into() }),
        FileKind::NoImage => Err(unsupported("neither JPEG nor PNG".into())),
    }
}

fn header_size(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), String> {
    let bytes = needed_bytes(format, bytes);
    reader(format, &bytes)
        .into_dimensions()
        .map_err(|error| error.to_string())
}

fn header_upright_size(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), String> {
    let bytes = needed_bytes(format, bytes);
    let decoder = reader(format, &bytes).into_decoder();
    let mut decoder = decoder.map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    Ok(match decoder.orientation() {
        Ok(
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH,
        ) => (height, width),
        _ => (width, height),
    })
}

/// Returns the file without parts that are not used and may be large when decompressed.
fn needed_bytes(format: ImageFormat, bytes: &[u8]) -> Cow<'_, [u8]> {
    match format {
        ImageFormat::Png => without_text_and_profiles(bytes),
        _ => Cow::Borrowed(bytes),
    }
}

fn reader(format: ImageFormat, bytes: &[u8]) -> ImageReader<Cursor<&[u8]>> {
    let mut limits = Limits::no_limits();
    // The buffer of the pixels does not count.
    limits.max_alloc = Some(MAXIMUM_METADATA_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader
}

fn decode(
    mut decoder: impl ImageDecoder,
    format: ImageFormat,
    bytes: &[u8],
    min_side: Option<u32>,
) -> Result<RgbImage, String> {
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let reduction = match (format, min_side) {
        (ImageFormat::Jpeg, Some(min_side)) => reduction(decoder.dimensions(), min_side),
        _ => None,
    };
    let reduced = reduction.and_then(|size| decode_reduced(bytes, size));
    let mut image = match reduced {
        Some(image) => image,
        None => DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?,
    };
    image.apply_orientation(orientation);
    Ok(if image.color().has_alpha() {
        over_white(&image)
    } else {
        image.into_rgb8()
    })
}

/// Returns the smallest size to decode an image at, so that its shorter side has `min_side` pixels
/// times the margin. `None` if that is the full size.
fn reduction((width, height): (u32, u32), min_side: u32) -> Option<(u32, u32)> {
    let enough = u64::from(min_side) * u64::from(REDUCTION_MARGIN);
    [8, 4, 2].into_iter().find_map(|factor: u32| {
        // A last column made of fewer than `factor` pixels would shift the image.
        let whole = width.is_multiple_of(factor) && height.is_multiple_of(factor);
        let size = (width / factor, height / factor);
        (whole && u64::from(size.0.min(size.1)) >= enough).then_some(size)
    })
}

/// Decodes a JPEG at `size`, which is its size divided by 2, 4 or 8.
///
/// `None` if it fails, or for kinds such as CMYK that are left to the other decoder. The other decoder
/// then reports the error.
fn decode_reduced(bytes: &[u8], size: (u32, u32)) -> Option<DynamicImage> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let side = |side: u32| u16::try_from(side).ok();
    let (width, height) = decoder.scale(side(size.0)?, side(size.1)?).ok()?;
    let pixels = catch_quietly(|| decoder.decode()).ok()?.ok()?;
    let (width, height) = (u32::from(width), u32::from(height));
    match decoder.info()?.pixel_format {
        jpeg_decoder::PixelFormat::RGB24 => {
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
        jpeg_decoder::PixelFormat::L8 => {
            GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
        _ => None,
    }
}

fn over_white(image: &DynamicImage) -> RgbImage {
    let pixels = image.to_rgba8();
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u32::from);
        image::Rgb(
            [red, green, blue].map(|c| ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
        )
    })
}

/// Checks and decodes an image that is not large. Returns the messages of all errors.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) -> Vec<String> {
    const PIXELS: u64 = 1 << 18;
    let path = Path::new("fuzz");
    let size = image_format(path, bytes).and_then(|format| {
        let size = catch_quietly(|| header_size(format, bytes));
        let size = size.unwrap_or_else(|_| Err("the decoder panicked".into()));
        size.map_err(|error| ImageError::broken(path, error))
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
