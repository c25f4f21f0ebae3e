//! TIFF files that are refused, by what they are. Files that are read are in `assets/fixtures/images`.

use super::*;

/// A little-endian TIFF file with one strip. A tag has its number, type (3: SHORT, 4: LONG) and value.
pub(in crate::data::image_file) fn tiff_file(tags: &[(u16, u16, u32)], strip: &[u8]) -> Vec<u8> {
    const STRIP_OFFSETS: u16 = 273;
    const STRIP_BYTES: u16 = 279;
    let at = 8 + 2 + 12 * (tags.len() as u32 + 2) + 4;
    let mut tags = tags.to_vec();
    tags.push((STRIP_OFFSETS, 4, at));
    tags.push((STRIP_BYTES, 4, strip.len() as u32));
    tags.sort();
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend_from_slice(strip);
    file
}

/// The tags of a grey image: width, height, bits, compression, colours, rows of a strip.
pub(in crate::data::image_file) fn grey(
    width: u32,
    height: u32,
    bits: u32,
) -> Vec<(u16, u16, u32)> {
    vec![
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (277, 3, 1),
        (278, 4, height),
    ]
}

fn failure_of(tags: &[(u16, u16, u32)], strip: &[u8]) -> Failure {
    decode(&tiff_file(tags, strip)).err().unwrap()
}

fn with(mut tags: Vec<(u16, u16, u32)>, tag: u16, value: u32) -> Vec<(u16, u16, u32)> {
    tags.retain(|(number, ..)| *number != tag);
    tags.push((tag, 3, value));
    tags
}

#[test]
fn a_written_file_is_read() {
    let image = decode(&tiff_file(&grey(4, 2, 8), &[0, 1, 2, 3, 4, 5, 6, 7]));
    let rgb = image.unwrap().into_rgb();
    assert_eq!(rgb.dimensions(), (4, 2));
    assert_eq!(rgb.get_pixel(3, 1).0, [7; 3]);
    // 2 bits: scaled to 0, 85, 170, 255.
    let image = decode(&tiff_file(&grey(4, 1, 2), &[0b00_01_10_11]));
    let rgb = image.unwrap().into_rgb();
    let reds: Vec<u8> = rgb.pixels().map(|pixel| pixel.0[0]).collect();
    assert_eq!(reds, [0, 85, 170, 255]);
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let unsupported = |tags: Vec<_>, expected: &str| {
        let failure = failure_of(&tags, &[0; 64]);
        assert!(
            matches!(&failure, Failure::Unsupported(found) if found.contains(expected)),
            "{failure:?}"
        );
    };
    // Floating point.
    unsupported(with(grey(4, 2, 32), 339, 3), "floating-point");
    unsupported(grey(4, 2, 32), "Gray(32)");
    // Old JPEG, LERC, Zstandard.
    unsupported(with(grey(4, 2, 8), 259, 6), "obsolete kind of JPEG");
    unsupported(with(grey(4, 2, 8), 259, 50_000), "ZSTD compression");
    unsupported(with(grey(4, 2, 8), 266, 2), "reversed bits");
    // CIELab, also as JPEG.
    let lab = with(with(grey(4, 2, 8), 262, 8), 259, 7);
    unsupported(lab, "other than grey, RGB and CMYK");
    unsupported(with(with(grey(4, 2, 8), 262, 8), 277, 3), "");
    // DNG.
    unsupported(with(grey(4, 2, 8), 50_706, 1), "camera raw");
}

#[test]
fn a_strip_beyond_the_end_of_the_file_is_truncated() {
    let whole = tiff_file(&grey(4, 2, 8), &[0; 8]);
    let cut = &whole[..whole.len() - 1];
    assert_eq!(decode(cut).err(), Some(Failure::Truncated));
    let length = cut.len() as u64;
    assert_eq!(check(Cursor::new(cut), length), Err(Failure::Truncated));
    let length = whole.len() as u64;
    assert_eq!(check(Cursor::new(&whole), length), Ok((4, 2)));
}

/// A grey JPEG image of 16 × 16 pixels of the value 200.
fn grey_jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::GrayImage::from_pixel(16, 16, image::Luma([200]));
    let mut file = Cursor::new(&mut bytes);
    image.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
    bytes
}

#[test]
fn jpeg_data_of_inverted_grey_is_inverted() {
    let tags = with(grey(16, 16, 8), 259, 7);
    for (photometric, expected) in [(1, 200), (0, 55)] {
        let tags = with(tags.clone(), 262, photometric);
        let image = decode(&tiff_file(&tags, &grey_jpeg())).unwrap().into_rgb();
        assert_eq!(image.get_pixel(7, 7).0, [expected; 3], "{photometric}");
    }
}

#[test]
fn jpeg_data_larger_than_its_strip_is_refused() {
    let tags = with(grey(16, 8, 8), 259, 7);
    let failure = failure_of(&tags, &grey_jpeg());
    let expected = "a strip or tile is larger than its description";
    assert!(
        matches!(&failure, Failure::Broken(reason) if reason == expected),
        "{failure:?}"
    );
}
