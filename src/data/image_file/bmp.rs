//! BMP files.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use super::failure::{Failure, plausible};
use super::stored::{Pixels, StoredImage};

/// Returns width and height in pixels, from the start of a file of `length` bytes.
pub(super) fn check(head: &[u8], length: u64) -> Result<(u32, u32), Failure> {
    if needed_bytes(head).is_none_or(|needed| needed > length) {
        return Err(Failure::Truncated);
    }
    let decoder = BmpDecoder::new(Cursor::new(head)).map_err(Failure::of_image)?;
    Ok(decoder.dimensions())
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<StoredImage, Failure> {
    plausible(check(bytes, bytes.len() as u64)?)?;
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(Failure::of_image)?;
    Ok(StoredImage {
        pixels: Pixels::Plain(DynamicImage::from_decoder(decoder).map_err(Failure::of_image)?),
        orientation: Orientation::NoTransforms,
        profile: None,
    })
}

/// Returns the least number of bytes of the file that starts with `head`; `None` if `head` ends before the
/// sizes. The length of run-length encoded pixels is not known.
fn needed_bytes(head: &[u8]) -> Option<u64> {
    const CORE_HEADER: u64 = 12;
    let short = |at: usize| {
        Some(u64::from(u16::from_le_bytes(
            *head.get(at..)?.first_chunk()?,
        )))
    };
    let long = |at: usize| {
        let value = i32::from_le_bytes(*head.get(at..)?.first_chunk()?);
        Some(u64::from(value.unsigned_abs()))
    };
    let pixels_at = long(10)?;
    let (width, height, bits, compression) = match long(14)? {
        CORE_HEADER => (short(18)?, short(20)?, short(24)?, 0),
        _ => (long(18)?, long(22)?, short(28)?, long(30)?),
    };
    let run_length_encoded = matches!(compression, 1 | 2);
    if run_length_encoded || height == 0 {
        return Some(pixels_at);
    }
    // Rows are padded to 4 bytes, except that the last one may end early.
    let row = width.saturating_mul(bits).div_ceil(8);
    let rows = row.next_multiple_of(4).saturating_mul(height - 1);
    Some(pixels_at.saturating_add(rows).saturating_add(row))
}
