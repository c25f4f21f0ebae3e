//! JPEG and PNG files: a quick look that refuses wrong and cut files, and decoding to 8 bit RGB.
//!
//! Of the two decoders only PNG's reports a cut file; JPEG's fills in what is missing. The end of the
//! image is therefore looked for in the file itself.

use std::fs::{self, File};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::DataError;

/// Bytes read for a look at the header; a file whose header is longer is read whole.
const HEAD_BYTES: u64 = 16 * 1024;
/// The `IEND` chunk, the last of a PNG file: length 0, type, checksum.
const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// JPEG's end-of-image marker; in compressed data a byte FF is never followed by D9.
const JPEG_END: &[u8] = &[0xff, 0xd9];

/// Width and height in pixels of the image in `path` as stored, from its header; refuses files that
/// could not be decoded later as far as that shows without decoding: other formats, broken headers,
/// files without the end of their image.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::UnsupportedImage`], [`DataError::BrokenImage`] or
/// [`DataError::Truncated`].
pub fn check_image_file(path: &Path) -> Result<(u32, u32), DataError> {
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
/// [`DataError::Unreadable`], [`DataError::UnsupportedImage`], [`DataError::BrokenImage`] or
/// [`DataError::Truncated`].
pub fn read_image_file(path: &Path) -> Result<RgbImage, DataError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    let format = format_of(path, &bytes)?;
    if !is_complete(format, &bytes) {
        return Err(DataError::Truncated { path: path.into() });
    }
    // The bytes are a stranger's: a panic in a decoder is a broken image, not the end of a run.
    match catch_unwind(AssertUnwindSafe(|| decode(format, &bytes))) {
        Ok(Ok(image)) if image.width() > 0 && image.height() > 0 => Ok(image),
        Ok(Ok(_)) => Err(broken(path, "it has no pixels")),
        Ok(Err(error)) => Err(broken(path, error)),
        Err(_) => Err(broken(path, "the decoder gave up")),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> DataError {
    DataError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    }
}

fn broken(path: &Path, reason: impl ToString) -> DataError {
    DataError::BrokenImage {
        path: path.into(),
        reason: reason.to_string(),
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

fn decode(format: ImageFormat, bytes: &[u8]) -> image::ImageResult<RgbImage> {
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(if image.color().has_alpha() {
        over_white(&image)
    } else {
        image.into_rgb8()
    })
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
    use image::{GrayImage, ImageBuffer, Luma, Rgb, Rgba, RgbaImage};
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
            decode(format, &bytes[..bytes.len() * 3 / 4])
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

    #[test]
    fn a_missing_file_is_named() {
        let error = read_image_file(Path::new("/nowhere/a.png"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/a.png"), "{error}");
    }
}
