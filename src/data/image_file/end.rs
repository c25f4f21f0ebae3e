//! Whether a JPEG or PNG file contains the end of its image.

use image::ImageFormat;

use super::png_chunks::chunks;

/// The `IEND` chunk, the last of a PNG file: length 0, type, checksum.
const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// JPEG's end-of-image marker. In compressed data, D9 never follows the byte FF.
const JPEG_END: &[u8] = &[0xff, 0xd9];

/// Returns the bytes that end an image of this format.
pub(super) fn end_marker(format: ImageFormat) -> &'static [u8] {
    match format {
        ImageFormat::Png => PNG_END,
        _ => JPEG_END,
    }
}

/// Returns whether the file contains the end of its image, at the end of the file or before bytes that
/// a camera or an editor appended.
pub(super) fn is_complete(format: ImageFormat, bytes: &[u8]) -> bool {
    bytes.ends_with(end_marker(format))
        || match format {
            ImageFormat::Png => png_has_end(bytes),
            _ => jpeg_has_end(bytes),
        }
}

/// Returns whether the file has its `IEND` chunk.
fn png_has_end(bytes: &[u8]) -> bool {
    chunks(bytes)
        .find(|chunk| chunk.kind == b"IEND")
        .is_some_and(|chunk| chunk.range.end <= bytes.len())
}

/// Walks the segments (marker, length, data) up to the start of the scan and searches the end marker
/// after it. A thumbnail in a segment has its own end marker, which does not count.
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
