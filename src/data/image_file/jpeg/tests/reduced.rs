//! JPEG files decoded at a half, a quarter or an eighth of their size.

use image::Luma;

use super::*;

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
