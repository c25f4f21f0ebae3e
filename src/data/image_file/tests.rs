//! Complete, truncated, rotated, foreign and large files.

use image::{ImageBuffer, Luma, Rgb, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;

fn ramp() -> RgbImage {
    RgbImage::from_fn(60, 40, |x, y| {
        Rgb([4 * x as u8, 6 * y as u8, (x * y) as u8])
    })
}

/// Encodes `ramp` in a format.
fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    ramp().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn both(
    bytes: &[u8],
    name: &str,
) -> (Result<(u32, u32), ImageError>, Result<RgbImage, ImageError>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (check_image_file(&path), read_image_file(&path))
}

fn decoded(image: &DynamicImage) -> RgbImage {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    both(&bytes.into_inner(), "x.png").1.unwrap()
}

#[test]
fn png_is_decoded_exactly_and_jpeg_approximately() {
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
fn format_is_detected_by_content_and_not_by_extension() {
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
fn exif_orientation_rotates_the_image() {
    // An APP1 segment with a TIFF directory of one entry: tag 0x112 (orientation), SHORT, 6
    // ("turn by 90° clockwise to see it upright").
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut bytes = encoded(ImageFormat::Jpeg);
    bytes.splice(2..2, exif.iter().copied());
    let image = both(&bytes, "x.jpg").1.unwrap();
    assert_eq!(image.dimensions(), (40, 60));
    // The stored lower left corner becomes the upper left one.
    let [red, green, _] = image.get_pixel(0, 0).0;
    assert!(red < 30 && green > 210, "{red} {green}");
}

#[test]
fn a_file_truncated_anywhere_is_refused_by_check_and_decoder() {
    for (format, name) in [(ImageFormat::Jpeg, "x.jpg"), (ImageFormat::Png, "x.png")] {
        let bytes = encoded(format);
        for share in [5, 30, 60, 90, 99] {
            let (size, image) = both(&bytes[..bytes.len() * share / 100], name);
            assert!(
                matches!(size, Err(ImageError::Truncated { .. })),
                "{name} {share} %: {size:?}"
            );
            assert_eq!(image.unwrap_err(), size.unwrap_err());
        }
    }
    let (size, _) = both(b"", "x.jpg");
    let message = size.unwrap_err().to_string();
    assert!(message.contains("x.jpg is truncated"), "{message}");
}

/// The reason why the end is searched in the file. If this fails, the JPEG decoder has started to
/// report truncated files.
#[test]
fn only_the_png_decoder_reports_a_truncated_file() {
    let half = |format| {
        let bytes = encoded(format);
        let cut = &bytes[..bytes.len() * 3 / 4];
        image::load_from_memory_with_format(cut, format)
    };
    half(ImageFormat::Png).unwrap_err();
    half(ImageFormat::Jpeg).unwrap();
}

#[test]
fn bytes_after_the_image_are_accepted() {
    for (format, name) in [(ImageFormat::Jpeg, "x.jpg"), (ImageFormat::Png, "x.png")] {
        let mut bytes = encoded(format);
        bytes.extend([0; 100]);
        let (size, image) = both(&bytes, name);
        assert_eq!(size.unwrap(), (60, 40));
        image.unwrap();
    }
}

#[test]
fn a_thumbnail_does_not_hide_a_truncated_image() {
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
        Err(ImageError::Truncated { .. })
    ));
}

#[test]
fn a_header_longer_than_the_first_read_is_found() {
    let mut bytes = encoded(ImageFormat::Jpeg);
    let segment = [0xff, 0xe2, 0xff, 0xff].into_iter().chain([7; 0xffff - 2]);
    bytes.splice(2..2, segment);
    assert_eq!(both(&bytes, "x.jpg").0.unwrap(), (60, 40));
}

#[test]
fn other_formats_and_garbage_are_named() {
    let error = both(b"RIFF\x10\0\0\0WEBPVP8 ....", "x.jpg")
        .0
        .unwrap_err()
        .to_string();
    assert!(error.contains("x.jpg is a WebP file,"), "{error}");
    let error = both(b"<html>not found</html>", "x.png")
        .1
        .unwrap_err()
        .to_string();
    assert!(error.contains("neither JPEG nor PNG"), "{error}");
    let error = both(b"\xff\xd8\xff\xe0 garbage! \xff\xd9", "x.jpg")
        .0
        .unwrap_err();
    assert!(!matches!(error, ImageError::Unsupported { .. }));
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
fn a_large_jpeg_is_reduced_to_at_least_three_times_the_needed_side() {
    let path = Path::new("x.jpg");
    let bytes = photo(808, 600);
    let size = |min_side| decode_image(path, &bytes, min_side).unwrap().dimensions();
    assert_eq!(size(None), (808, 600));
    assert_eq!(size(Some(101)), (808, 600));
    assert_eq!(size(Some(100)), (404, 300));
    assert_eq!(size(Some(50)), (202, 150));
    assert_eq!(size(Some(25)), (101, 75));
    assert_eq!(size(Some(1)), (101, 75));
}

#[test]
fn an_image_whose_sides_are_not_divisible_is_reduced_less_or_not_at_all() {
    let size = |width, height| {
        let bytes = photo(width, height);
        decode_image(Path::new("x.jpg"), &bytes, Some(10))
            .unwrap()
            .dimensions()
    };
    assert_eq!(size(403, 300), (403, 300));
    assert_eq!(size(404, 300), (101, 75));
    assert_eq!(size(402, 300), (201, 150));
}

#[test]
fn a_reduced_image_resizes_to_nearly_the_same_thumbnail() {
    let bytes = photo(1000, 800);
    let small = |min_side| {
        let image = decode_image(Path::new("x.jpg"), &bytes, min_side).unwrap();
        image::imageops::resize(&image, 96, 96, image::imageops::FilterType::Triangle)
    };
    let (whole, reduced) = (small(None), small(Some(96)));
    let differences = whole.iter().zip(reduced.iter());
    let sum: u64 = differences.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = sum as f64 / (96.0 * 96.0 * 3.0);
    // Rounding alone contributes up to half a level.
    assert!(mean < 1.0, "{mean} levels");
}

#[test]
fn a_reduced_image_is_rotated_and_grey_stays_grey() {
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
fn images_of_implausible_size_are_refused_before_they_are_decoded() {
    let mut bytes = encoded(ImageFormat::Png);
    // Width and height follow the signature and the header chunk's length and type.
    bytes[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let (size, image) = both(&bytes, "x.png");
    let error = image.unwrap_err();
    assert!(
        matches!(error, ImageError::ImplausibleSize { .. }),
        "{error}"
    );
    // The header's checksum is wrong too.
    size.unwrap_err();
    let error = check_size(Path::new("x.png"), (20_000, 20_000)).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("20000 x 20000 pixels"), "{message}");
    check_size(Path::new("x.png"), (0, 5)).unwrap_err();
    check_size(Path::new("x.png"), (60_000, 1)).unwrap_err();
    check_size(Path::new("x.png"), (10, 500)).unwrap_err();
    check_size(Path::new("x.png"), (10, 499)).unwrap();
    check_size(Path::new("x.png"), (10_000, 10_000)).unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let error = read_image_file(Path::new("/nowhere/a.png"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/a.png"), "{error}");
}

/// Returns a PNG file with a chunk after its header.
fn with_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    const HEADER_END: usize = 33;
    let mut bytes = encoded(ImageFormat::Png);
    let named = [kind, data].concat();
    let length = (data.len() as u32).to_be_bytes();
    let checksum = crc32fast::hash(&named).to_be_bytes();
    let chunk = [&length[..], &named, &checksum].concat();
    bytes.splice(HEADER_END..HEADER_END, chunk);
    bytes
}

/// Returns 2 GiB of zeros as a zlib stream of 2 MB: the same compressed MiB 2,048 times.
fn two_gib_of_zeros() -> Vec<u8> {
    let mut compress = flate2::Compress::new(flate2::Compression::best(), true);
    let mut stream = Vec::with_capacity(1 << 14);
    let zeros = vec![0; 1 << 20];
    let flush = flate2::FlushCompress::Sync;
    compress.compress_vec(&zeros, &mut stream, flush).unwrap();
    let block = stream[2..].to_vec();
    for _ in 1..2048 {
        stream.extend_from_slice(&block);
    }
    // An empty last block, and the checksum of the zeros.
    let count: u32 = 1 << 31;
    stream.extend([3, 0]);
    stream.extend((((count % 65_521) << 16) | 1).to_be_bytes());
    stream
}

#[test]
fn compressed_profiles_and_texts_are_not_decompressed() {
    let bomb = two_gib_of_zeros();
    assert!(bomb.len() < 4 << 20);
    for kind in [b"iCCP", b"zTXt"] {
        let bytes = with_chunk(kind, &[&b"name\0\0"[..], &bomb].concat());
        let (size, image) = both(&bytes, "x.png");
        assert_eq!((size.unwrap(), image.unwrap()), ((60, 40), ramp()));
        assert_eq!(
            *without_text_and_profiles(&bytes),
            encoded(ImageFormat::Png)
        );
    }
    let plain = encoded(ImageFormat::Png);
    assert!(matches!(
        without_text_and_profiles(&plain),
        Cow::Borrowed(_)
    ));
}

#[test]
fn other_metadata_has_a_limit() {
    let exif = vec![0; MAXIMUM_METADATA_BYTES as usize + 1];
    let (_, image) = both(&with_chunk(b"eXIf", &exif), "x.png");
    let message = image.unwrap_err().to_string();
    assert!(message.contains("cannot be decoded"), "{message}");
}

#[test]
fn files_larger_than_any_image_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.png");
    // A sparse file, which takes no space.
    let file = File::create(&path).unwrap();
    file.set_len(MAXIMUM_FILE_BYTES + 1).unwrap();
    let error = read_image_file(&path).unwrap_err();
    assert!(error.to_string().contains("larger than 1 GiB"), "{error}");
}
