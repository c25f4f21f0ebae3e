//! Files that would take much memory or time: each is refused with one message, or decoded without what it
//! hides.

use std::borrow::Cow;

use super::super::png::{MAXIMUM_METADATA_BYTES, without_text_and_profiles};
use super::super::tiff::tests as tiff_tests;
use super::*;

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
fn compressed_profiles_are_decompressed_up_to_a_limit_and_texts_not_at_all() {
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

/// Asserts that check and decoder refuse a file with the same message.
fn assert_refused(bytes: &[u8], name: &str, expected: &str) {
    let (check, image) = both(bytes, name);
    let error = image.unwrap_err();
    assert_eq!(check.unwrap_err(), error);
    let message = error.to_string();
    assert!(message.contains(expected), "{message}");
}

const TOO_LARGE: &str = "shrink it to at most 100 million, or remove it";

#[test]
fn images_of_implausible_size_are_refused_before_they_are_decoded() {
    let size = [&65_535_u32.to_be_bytes()[..], &65_535_u32.to_be_bytes()].concat();
    let mut png = encoded(ImageFormat::Png);
    // Width and height follow the signature and the header chunk's length and type.
    png[16..24].copy_from_slice(&size);
    let checksum = crc32fast::hash(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&checksum);
    assert_refused(&png, "x.png", TOO_LARGE);

    let mut jpeg = encoded(ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    // More than libjpeg-turbo's 65,500.
    assert_refused(&jpeg, "x.jpg", "cannot be decoded");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0, 0xff, 0]);
    assert_refused(&jpeg, "x.jpg", "x.jpg has 65280 x 65280 pixels");

    let gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;";
    assert_refused(gif, "x.gif", TOO_LARGE);

    let mut webp = encoded(ImageFormat::WebP);
    // A lossless stream: signature, then 14 bits each of width - 1 and height - 1.
    webp[21..25].copy_from_slice(&(0x0fff_bffe_u32).to_le_bytes());
    assert_refused(&webp, "x.webp", "x.webp has 16383 x 16383 pixels");

    let mut bmp = encoded(ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    assert_refused(&bmp, "x.bmp", "x.bmp is truncated");
    // Run-length encoded: the file may be short.
    bmp[30] = 1;
    bmp[28] = 8;
    assert_refused(&bmp, "x.bmp", TOO_LARGE);

    let tags = tiff_tests::grey(65_535, 65_535, 8);
    let tiff = tiff_tests::tiff_file(&tags, &[0; 64]);
    assert_refused(&tiff, "x.tif", TOO_LARGE);
}

#[test]
fn a_tiff_strip_that_decompresses_to_more_than_the_image_ends_with_the_image() {
    let mut tags = tiff_tests::grey(40, 40, 8);
    // Deflate.
    tags[3].2 = 8;
    let tiff = tiff_tests::tiff_file(&tags, &two_gib_of_zeros());
    assert_eq!(both(&tiff, "x.tif").1.unwrap(), RgbImage::new(40, 40));
}

#[test]
fn only_the_first_of_many_frames_is_read() {
    let mut gif = b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    // An image of 2 x 2 pixels: clear, four times index 1, end.
    let frame = b",\0\0\0\0\x02\0\x02\0\0\x02\x03\x4c\x12\x05\0";
    for _ in 0..100_000 {
        gif.extend_from_slice(frame);
    }
    gif.push(b';');
    let (check, image) = both(&gif, "x.gif");
    assert_eq!(check.unwrap(), (2, 2));
    assert_eq!(image.unwrap().dimensions(), (2, 2));
}

#[test]
fn broken_and_huge_profiles_are_ignored() {
    use super::super::color_profile::{ColorTransform, MAXIMUM_PROFILE_BYTES, PixelKind};
    let of = |profile: &[u8]| ColorTransform::of(profile, PixelKind::Rgb).is_some();
    assert!(!of(b""));
    assert!(!of(&[0; 4096]));
    assert!(!of(&vec![0; MAXIMUM_PROFILE_BYTES + 1]));
    // A header that promises more tags than there are.
    let mut profile = vec![0; 132];
    profile[36..40].copy_from_slice(b"acsp");
    profile[128..].fill(0xff);
    assert!(!of(&profile));
}
