//! JPEG and PNG files: a quick look that refuses wrong and cut files, and decoding to 8 bit RGB.
//!
//! Of the two decoders only PNG's reports a cut file; JPEG's fills in what is missing. The end of the
//! image is therefore looked for in the file itself.
//!
//! A large JPEG of which a small image is wanted is decoded at a half, a quarter or an eighth of its
//! size: its blocks of 8 × 8 frequencies give as many pixels as are asked for.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::DataError;
use super::guarded::guarded;

/// Bytes read for a look at the header; a file whose header is longer is read whole.
const HEAD_BYTES: u64 = 16 * 1024;
/// The `IEND` chunk, the last of a PNG file: length 0, type, checksum.
const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// JPEG's end-of-image marker; in compressed data a byte FF is never followed by D9.
const JPEG_END: &[u8] = &[0xff, 0xd9];

/// The largest image that is decoded, in pixels: 300 MB as 8 bit RGB.
pub(crate) const MAXIMUM_PIXELS: u64 = 100_000_000;
/// The longer side of an image that is decoded is less than so many times the shorter one: resized
/// by its shorter side, a line of a million pixels would be a picture of gigabytes.
const MAXIMUM_ASPECT: u32 = 50;
/// A reduced JPEG has at least so many times the pixels that are min_side in each direction. Resized, it
/// is then within two levels of the whole one in the mean, even where all is fine detail; with twice
/// the pixels it was within three.
const REDUCTION_MARGIN: u32 = 3;

/// Width and height in pixels of the image in `path` as stored, from its header; refuses files that
/// could not be decoded later as far as that shows without decoding: other formats, broken headers,
/// files without the end of their image.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::UnsupportedImage`], [`DataError::BrokenImage`],
/// [`DataError::Truncated`] or [`DataError::AbsurdSize`].
pub fn check_image_file(path: &Path) -> Result<(u32, u32), DataError> {
    let size = stored_size(path)?;
    refuse_absurd(path, size)?;
    Ok(size)
}

fn stored_size(path: &Path) -> Result<(u32, u32), DataError> {
    let unreadable = |error| unreadable(path, error);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut head = Vec::with_capacity(HEAD_BYTES.min(length) as usize);
    (&mut file)
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    let format = format_of(path, &head)?;
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
    // Rare: a long header, bytes after the image, or a fault.
    let bytes = fs::read(path).map_err(unreadable)?;
    let size = header_size(format, &bytes);
    if !is_complete(format, &bytes) {
        return Err(DataError::Truncated { path: path.into() });
    }
    size.map_err(|error| broken(path, error))
}

/// Decodes the JPEG or PNG file `path` to 8 bit RGB, turned upright as its EXIF orientation says.
///
/// Grey becomes three equal channels, 16 bit are scaled to 8, and what is transparent is laid over
/// white. Embedded colour profiles are not applied.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::UnsupportedImage`], [`DataError::BrokenImage`],
/// [`DataError::Truncated`] or [`DataError::AbsurdSize`].
pub fn read_image_file(path: &Path) -> Result<RgbImage, DataError> {
    decode_image(path, &read(path)?, None)
}

/// The same for an image that is to be resized until its shorter side has `min_side` pixels: a large
/// JPEG may be decoded at a half, a quarter or an eighth of its size.
///
/// # Errors
/// As [`read_image_file`].
pub fn read_image_file_for(path: &Path, min_side: u32) -> Result<RgbImage, DataError> {
    decode_image(path, &read(path)?, Some(min_side))
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

/// Decodes the contents of the file `path`, at the size that is `min_side` if given.
pub(crate) fn decode_image(
    path: &Path,
    bytes: &[u8],
    min_side: Option<u32>,
) -> Result<RgbImage, DataError> {
    let format = format_of(path, bytes)?;
    if !is_complete(format, bytes) {
        return Err(DataError::Truncated { path: path.into() });
    }
    // The bytes are a stranger's: a panic in a decoder is a broken image, not the end of a run.
    let decoded = guarded(|| {
        let decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder();
        let decoder = decoder.map_err(|error| broken(path, error))?;
        refuse_absurd(path, decoder.dimensions())?;
        decode(decoder, format, bytes, min_side).map_err(|reason| broken(path, reason))
    });
    match decoded {
        Ok(image) => image,
        Err(_) => Err(broken(path, "the decoder gave up")),
    }
}

fn refuse_absurd(path: &Path, (width, height): (u32, u32)) -> Result<(), DataError> {
    let (shorter, longer) = (width.min(height), width.max(height));
    let hint = match u64::from(width) * u64::from(height) {
        0 => "replace or remove it",
        pixels if pixels > MAXIMUM_PIXELS => "shrink it to at most 100 million, or remove it",
        _ if longer / shorter >= MAXIMUM_ASPECT => "it is a line, not a picture; crop or remove it",
        _ => return Ok(()),
    };
    Err(DataError::AbsurdSize {
        path: path.into(),
        width,
        height,
        hint,
    })
}

fn unreadable(path: &Path, error: std::io::Error) -> DataError {
    DataError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    }
}

fn broken(path: &Path, reason: impl ToString) -> DataError {
    // Decoders' words may have line breaks at their end and within.
    let reason = reason.to_string();
    let words: Vec<&str> = reason.split_whitespace().collect();
    DataError::BrokenImage {
        path: path.into(),
        reason: words.join(" "),
    }
}

/// The format by content, since names often lie; JPEG or PNG.
fn format_of(path: &Path, head: &[u8]) -> Result<ImageFormat, DataError> {
    let unsupported = |found: String| DataError::UnsupportedImage {
        path: path.into(),
        found,
    };
    match image::guess_format(head) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => Ok(format),
        Ok(other) => Err(unsupported(format!("a {other:?} file inside"))),
        Err(_) if head.is_empty() => Err(DataError::Truncated { path: path.into() }),
        Err(_) => Err(unsupported("neither JPEG nor PNG inside".into())),
    }
}

fn end_marker(format: ImageFormat) -> &'static [u8] {
    match format {
        ImageFormat::Png => PNG_END,
        _ => JPEG_END,
    }
}

fn header_size(format: ImageFormat, bytes: &[u8]) -> Result<(u32, u32), String> {
    ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(|error| error.to_string())
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

/// The size at which to decode an image so that its shorter side keeps `min_side` pixels with the
/// margin; none if that is its own.
fn reduction((width, height): (u32, u32), min_side: u32) -> Option<(u32, u32)> {
    let enough = u64::from(min_side) * u64::from(REDUCTION_MARGIN);
    [8, 4, 2].into_iter().find_map(|factor: u32| {
        // A last column that stands for less than `factor` pixels would shift the picture.
        let whole = width.is_multiple_of(factor) && height.is_multiple_of(factor);
        let size = (width / factor, height / factor);
        (whole && u64::from(size.0.min(size.1)) >= enough).then_some(size)
    })
}

/// Decodes a JPEG to `size`, its own divided by 2, 4 or 8; nothing for kinds that are better left to
/// the other decoder, such as CMYK, and for those that fail, so that they fail with its words.
fn decode_reduced(bytes: &[u8], size: (u32, u32)) -> Option<DynamicImage> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let side = |side: u32| u16::try_from(side).ok();
    let (width, height) = decoder.scale(side(size.0)?, side(size.1)?).ok()?;
    let pixels = guarded(|| decoder.decode()).ok()?.ok()?;
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

/// Whether the image's end is there: at the end of the file, or before bytes that a camera or an
/// editor appended.
fn is_complete(format: ImageFormat, bytes: &[u8]) -> bool {
    bytes.ends_with(end_marker(format))
        || match format {
            ImageFormat::Png => png_has_end(bytes),
            _ => jpeg_has_end(bytes),
        }
}

/// Walks the chunks (length, type, data, checksum) behind the signature to `IEND`.
fn png_has_end(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let next = at + 12 + u32::from_be_bytes([a, b, c, d]) as usize;
        if kind == b"IEND" {
            return next <= bytes.len();
        }
        at = next;
    }
    false
}

/// Walks the segments (marker, length, data) to the start of the scan and looks for the end marker
/// behind it; a thumbnail among the segments has one of its own.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some(&[0xff, marker, a, b]) = bytes.get(at..at + 4) {
        if marker == 0xff {
            at += 1; // A fill byte.
            continue;
        }
        at += 2 + usize::from(u16::from_be_bytes([a, b]));
        if marker == START_OF_SCAN {
            return bytes
                .get(at..)
                .is_some_and(|scan| scan.windows(2).any(|pair| pair == JPEG_END));
        }
    }
    false
}
