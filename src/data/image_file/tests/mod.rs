//! Complete, truncated, rotated and foreign files.

mod bombs;
mod fixtures;

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;

fn ramp() -> RgbImage {
    RgbImage::from_fn(60, 40, |x, y| {
        Rgb([4 * x as u8, 6 * y as u8, (x * y) as u8])
    })
}

const FORMATS: [(ImageFormat, &str); 4] = [
    (ImageFormat::Jpeg, "x.jpg"),
    (ImageFormat::Png, "x.png"),
    (ImageFormat::WebP, "x.webp"),
    (ImageFormat::Bmp, "x.bmp"),
];

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
    for (format, name) in FORMATS {
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

#[test]
fn bytes_after_the_image_are_accepted() {
    for (format, name) in FORMATS {
        let mut bytes = encoded(format);
        bytes.extend([0; 100]);
        let (size, image) = both(&bytes, name);
        assert_eq!(size.unwrap(), (60, 40));
        image.unwrap();
    }
}

#[test]
fn a_gif_file_truncated_in_its_first_frame_is_refused() {
    let path = "assets/fixtures/images/gif-interlaced.gif";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let bytes = std::fs::read(path).unwrap();
    for share in [5, 30, 60, 90] {
        let (size, image) = both(&bytes[..bytes.len() * share / 100], "x.gif");
        let expected = |error: ImageError| matches!(error, ImageError::Truncated { .. });
        assert!(expected(size.unwrap_err()), "{share} %");
        assert!(expected(image.unwrap_err()), "{share} %");
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
fn other_formats_and_garbage_are_named_with_what_to_do() {
    let message = |bytes: &[u8], name| {
        let (check, image) = both(bytes, name);
        let error = check.unwrap_err();
        assert_eq!(image.unwrap_err(), error);
        let message = error.to_string();
        let (_, message) = message.split_once(name).unwrap();
        message.to_string()
    };
    for (bytes, name, expected) in [
        (
            &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..],
            "x.jpg",
            " is a HEIC image, which is not supported; convert it to JPEG or PNG, for example with: heif-convert \
             photo.heic photo.jpg",
        ),
        (
            b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf",
            "x.png",
            " is an AVIF image, which is not supported; convert it to JPEG or PNG, for example with: avifdec \
             photo.avif photo.png",
        ),
        (
            b"II*\0\x08\0\0\0",
            "x.NEF",
            " is a camera raw image, which is not supported; convert it to JPEG or PNG, for example with: \
             darktable-cli photo.raw photo.jpg",
        ),
        (
            b"<!DOCTYPE html><html>not found</html>",
            "x.png",
            " is an HTML page, which is not supported; download the image again, or remove it",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "x.png",
            " is a Git LFS pointer and not the file that it names, which is not supported; run `git lfs pull`, or remove \
             it",
        ),
        (
            b"path,label",
            "x.png",
            " is a file of an unknown format, which is not supported; replace or remove it",
        ),
    ] {
        assert_eq!(message(bytes, name), expected);
    }
    let error = both(b"\xff\xd8\xff\xe0 garbage! \xff\xd9", "x.jpg").0;
    assert!(!matches!(error, Err(ImageError::Unsupported { .. })));
}

#[test]
fn a_missing_file_is_named() {
    let error = read_image_file(Path::new("/nowhere/a.png"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/a.png"), "{error}");
}

#[test]
fn files_larger_than_any_image_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.png");
    // A sparse file, which takes no space.
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(MAXIMUM_FILE_BYTES + 1).unwrap();
    let error = read_image_file(&path).unwrap_err();
    assert!(error.to_string().contains("larger than 1 GiB"), "{error}");
}
