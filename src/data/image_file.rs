//! JPEG and PNG files: a quick look that refuses wrong and cut files, and decoding to 8 bit RGB.
//!
//! Of the two decoders only PNG's reports a cut file; JPEG's fills in what is missing. The end of the
//! image is therefore looked for in the file itself.
//!
//! A large JPEG of which a small image is wanted is decoded at a half, a quarter or an eighth of its
//! size: its blocks of 8 × 8 frequencies give as many pixels as are asked for.

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
/// A reduced JPEG has at least so many times the pixels that are needed in each direction; what is
/// then left to the resizing makes it the same image to the eye.
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

/// The same for an image that is to be resized until its shorter side has `needed` pixels: a large
/// JPEG may be decoded at a half, a quarter or an eighth of its size.
///
/// # Errors
/// As [`read_image_file`].
pub fn read_image_file_for(path: &Path, needed: u32) -> Result<RgbImage, DataError> {
    decode_image(path, &read(path)?, Some(needed))
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

/// Decodes the contents of the file `path`, at the size that is `needed` if given.
pub(crate) fn decode_image(
    path: &Path,
    bytes: &[u8],
    needed: Option<u32>,
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
        decode(decoder, format, bytes, needed).map_err(|reason| broken(path, reason))
    });
    match decoded {
        Ok(image) => image,
        Err(_) => Err(broken(path, "the decoder gave up")),
    }
}

fn refuse_absurd(path: &Path, (width, height): (u32, u32)) -> Result<(), DataError> {
    let mend = match u64::from(width) * u64::from(height) {
        0 => "replace or remove it",
        pixels if pixels > MAXIMUM_PIXELS => "shrink it to at most 100 million, or remove it",
        _ => return Ok(()),
    };
    Err(DataError::AbsurdSize {
        path: path.into(),
        width,
        height,
        mend,
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
    needed: Option<u32>,
) -> Result<RgbImage, String> {
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let reduction = match (format, needed) {
        (ImageFormat::Jpeg, Some(needed)) => reduction(decoder.dimensions(), needed),
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

/// The size at which to decode an image so that its shorter side keeps `needed` pixels with the
/// margin; none if that is its own.
fn reduction((width, height): (u32, u32), needed: u32) -> Option<(u32, u32)> {
    let enough = u64::from(needed) * u64::from(REDUCTION_MARGIN);
    [8, 4, 2].into_iter().find_map(|factor: u32| {
        let size = (width.div_ceil(factor), height.div_ceil(factor));
        (u64::from(size.0.min(size.1)) >= enough).then_some(size)
    })
}

/// Decodes a JPEG to `size`, its own divided by 2, 4 or 8; nothing for kinds that are better left to
/// the other decoder, such as CMYK, and for those that fail, so that they fail with its words.
fn decode_reduced(bytes: &[u8], size: (u32, u32)) -> Option<DynamicImage> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let side = |side: u32| u16::try_from(side).ok();
    let (width, height) = decoder.scale(side(size.0)?, side(size.1)?).ok()?;
    let pixels = decoder.decode().ok()?;
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

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb, Rgba, RgbaImage};
    use tempfile::TempDir;

    use super::*;

    fn ramp() -> RgbImage {
        RgbImage::from_fn(60, 40, |x, y| {
            Rgb([4 * x as u8, 6 * y as u8, (x * y) as u8])
        })
    }

    /// The bytes of `ramp` in a format.
    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        ramp().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn both(
        bytes: &[u8],
        name: &str,
    ) -> (Result<(u32, u32), DataError>, Result<RgbImage, DataError>) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        (check_image_file(&path), read_image_file(&path))
    }

    fn decoded(image: &DynamicImage) -> RgbImage {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        both(&bytes.into_inner(), "x.png").1.unwrap()
    }

    #[test]
    fn png_is_read_back_exactly_and_jpeg_nearly() {
        let (size, image) = both(&encoded(ImageFormat::Png), "x.png");
        assert_eq!((size.unwrap(), image.unwrap()), ((60, 40), ramp()));
        let (size, image) = both(&encoded(ImageFormat::Jpeg), "x.jpg");
        assert_eq!(size.unwrap(), (60, 40));
        let error: u64 = image
            .unwrap()
            .iter()
            .zip(ramp().iter())
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        assert!(error < 10 * 60 * 40 * 3, "mean error below 10 levels");
    }

    #[test]
    fn content_counts_not_the_name() {
        let (size, image) = both(&encoded(ImageFormat::Png), "x.jpg");
        assert_eq!((size.unwrap(), image.unwrap()), ((60, 40), ramp()));
    }

    #[test]
    fn grey_16_bit_and_transparent_images_become_rgb() {
        let grey = GrayImage::from_pixel(3, 2, Luma([77]));
        assert_eq!(decoded(&grey.into()).get_pixel(1, 1).0, [77; 3]);
        let deep = ImageBuffer::from_pixel(3, 2, Luma([0x8080_u16]));
        assert_eq!(
            decoded(&DynamicImage::ImageLuma16(deep)).get_pixel(0, 0).0,
            [0x80; 3]
        );
        let glass = RgbaImage::from_fn(2, 1, |x, _| Rgba([200, 0, 0, if x == 0 { 0 } else { 51 }]));
        let glass = decoded(&glass.into());
        assert_eq!(glass.get_pixel(0, 0).0, [255; 3]);
        assert_eq!(glass.get_pixel(1, 0).0, [244, 204, 204]);
    }

    #[test]
    fn exif_orientation_turns_the_image_upright() {
        // An APP1 segment with a TIFF directory of one entry: tag 0x112 (orientation), SHORT, 6
        // ("turn by 90° clockwise to see it upright").
        let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut bytes = encoded(ImageFormat::Jpeg);
        bytes.splice(2..2, exif.iter().copied());
        let image = both(&bytes, "x.jpg").1.unwrap();
        assert_eq!(image.dimensions(), (40, 60));
        // The stored lower left corner comes to the upper left.
        let [red, green, _] = image.get_pixel(0, 0).0;
        assert!(red < 30 && green > 210, "{red} {green}");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_at_open_and_at_decoding() {
        for (format, name) in [(ImageFormat::Jpeg, "x.jpg"), (ImageFormat::Png, "x.png")] {
            let bytes = encoded(format);
            for share in [5, 30, 60, 90, 99] {
                let (size, image) = both(&bytes[..bytes.len() * share / 100], name);
                assert!(
                    matches!(size, Err(DataError::Truncated { .. })),
                    "{name} {share} %: {size:?}"
                );
                assert_eq!(image.unwrap_err(), size.unwrap_err());
            }
        }
        let (size, _) = both(b"", "x.jpg");
        let message = size.unwrap_err().to_string();
        assert!(message.contains("x.jpg is cut off"), "{message}");
    }

    /// Why the end is looked for here; should this fail one day, the decoder has learnt to tell.
    #[test]
    fn of_the_decoders_only_png_reports_a_cut() {
        let half = |format| {
            let bytes = encoded(format);
            let cut = &bytes[..bytes.len() * 3 / 4];
            image::load_from_memory_with_format(cut, format)
        };
        half(ImageFormat::Png).unwrap_err();
        half(ImageFormat::Jpeg).unwrap();
    }

    #[test]
    fn bytes_after_the_image_are_not_a_cut() {
        for (format, name) in [(ImageFormat::Jpeg, "x.jpg"), (ImageFormat::Png, "x.png")] {
            let mut bytes = encoded(format);
            bytes.extend([0; 100]);
            let (size, image) = both(&bytes, name);
            assert_eq!(size.unwrap(), (60, 40));
            image.unwrap();
        }
    }

    #[test]
    fn a_thumbnail_does_not_hide_a_cut() {
        let whole = encoded(ImageFormat::Jpeg);
        let mut bytes = whole.clone();
        let length = (2 + whole.len() as u16).to_be_bytes();
        bytes.splice(
            2..2,
            [0xff, 0xe2]
                .into_iter()
                .chain(length)
                .chain(whole.iter().copied()),
        );
        assert_eq!(both(&bytes, "x.jpg").0.unwrap(), (60, 40));
        let cut = &bytes[..bytes.len() - 20];
        assert!(matches!(
            both(cut, "x.jpg").0,
            Err(DataError::Truncated { .. })
        ));
    }

    #[test]
    fn a_header_longer_than_the_first_look_is_read() {
        let mut bytes = encoded(ImageFormat::Jpeg);
        let segment = [0xff, 0xe2, 0xff, 0xff].into_iter().chain([7; 0xffff - 2]);
        bytes.splice(2..2, segment);
        assert_eq!(both(&bytes, "x.jpg").0.unwrap(), (60, 40));
    }

    #[test]
    fn other_formats_and_nonsense_are_named() {
        let error = both(b"RIFF\x10\0\0\0WEBPVP8 ....", "x.jpg")
            .0
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.jpg is a WebP file inside"), "{error}");
        let error = both(b"<html>not found</html>", "x.png")
            .1
            .unwrap_err()
            .to_string();
        assert!(error.contains("neither JPEG nor PNG"), "{error}");
        let error = both(b"\xff\xd8\xff\xe0 nonsense \xff\xd9", "x.jpg")
            .0
            .unwrap_err();
        assert!(!matches!(error, DataError::UnsupportedImage { .. }));
    }

    /// A photograph-like JPEG: smooth shades with fine grain.
    fn photo(width: u32, height: u32) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| {
            let shade = |c: u32| {
                let (x, y) = (x as f32 / 97.0, y as f32 / 61.0);
                120.0 + 70.0 * (x + c as f32).sin() * (y - 0.7 * c as f32).cos()
            };
            let grain = (x * 7919 + y * 104_729) % 13;
            Rgb([0, 1, 2].map(|c| (shade(c) + grain as f32) as u8))
        });
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_large_jpeg_is_reduced_to_no_less_than_three_times_what_is_needed() {
        let path = Path::new("x.jpg");
        let bytes = photo(803, 601);
        let size = |needed| decode_image(path, &bytes, needed).unwrap().dimensions();
        assert_eq!(size(None), (803, 601));
        assert_eq!(size(Some(101)), (803, 601));
        assert_eq!(size(Some(100)), (402, 301));
        assert_eq!(size(Some(50)), (201, 151));
        assert_eq!(size(Some(25)), (101, 76));
        assert_eq!(size(Some(1)), (101, 76));
    }

    #[test]
    fn a_reduced_image_becomes_nearly_the_same_small_one() {
        let bytes = photo(1000, 800);
        let small = |needed| {
            let image = decode_image(Path::new("x.jpg"), &bytes, needed).unwrap();
            image::imageops::resize(&image, 96, 96, image::imageops::FilterType::Triangle)
        };
        let (whole, reduced) = (small(None), small(Some(96)));
        let differences = whole.iter().zip(reduced.iter());
        let sum: u64 = differences.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / (96.0 * 96.0 * 3.0);
        // Rounding alone gives up to half a level.
        assert!(mean < 1.0, "{mean} levels");
    }

    #[test]
    fn a_reduced_image_is_turned_upright_and_grey_stays_grey() {
        let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut bytes = photo(400, 240);
        bytes.splice(2..2, exif.iter().copied());
        let image = decode_image(Path::new("x.jpg"), &bytes, Some(20)).unwrap();
        assert_eq!(image.dimensions(), (60, 100));

        let mut grey = Cursor::new(Vec::new());
        GrayImage::from_pixel(400, 400, Luma([77]))
            .write_to(&mut grey, ImageFormat::Jpeg)
            .unwrap();
        let image = decode_image(Path::new("x.jpg"), grey.get_ref(), Some(16)).unwrap();
        assert_eq!(image.dimensions(), (50, 50));
        assert!(image.iter().all(|value| value.abs_diff(77) <= 1));
    }

    #[test]
    fn images_of_absurd_size_are_refused_before_they_are_decoded() {
        let mut bytes = encoded(ImageFormat::Png);
        // Width and height stand behind the signature and the header chunk's length and type.
        bytes[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
        let (size, image) = both(&bytes, "x.png");
        let error = image.unwrap_err();
        // The header's checksum is wrong as well, which the decoder sees first.
        assert!(
            matches!(
                error,
                DataError::AbsurdSize { .. } | DataError::BrokenImage { .. }
            ),
            "{error}"
        );
        size.unwrap_err();
        let error = refuse_absurd(Path::new("x.png"), (20_000, 20_000)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("20000 x 20000 pixels"), "{message}");
        refuse_absurd(Path::new("x.png"), (0, 5)).unwrap_err();
        refuse_absurd(Path::new("x.png"), (10_000, 10_000)).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_image_file(Path::new("/nowhere/a.png"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/a.png"), "{error}");
    }
}
