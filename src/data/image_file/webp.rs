//! WebP files: an image, or the first frame of an animation.

use std::io::{BufRead, Cursor, Seek};

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use super::failure::{Failure, plausible};
use super::stored::{Pixels, StoredImage};

/// Bytes of `RIFF` and the length, which the length does not count.
const RIFF_HEAD_BYTES: u64 = 8;

/// Returns width and height in pixels, from the header of a file of `length` bytes.
pub(super) fn check(mut reader: impl BufRead + Seek, length: u64) -> Result<(u32, u32), Failure> {
    let mut head = [0; RIFF_HEAD_BYTES as usize];
    reader.read_exact(&mut head).map_err(Failure::of_io)?;
    reader.rewind().map_err(Failure::of_io)?;
    let [_, _, _, _, stated @ ..] = head;
    if RIFF_HEAD_BYTES + u64::from(u32::from_le_bytes(stated)) > length {
        return Err(Failure::Truncated);
    }
    let decoder = WebPDecoder::new(reader).map_err(Failure::of_image)?;
    Ok(decoder.dimensions())
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<StoredImage, Failure> {
    plausible(check(Cursor::new(bytes), bytes.len() as u64)?)?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(Failure::of_image)?;
    Ok(StoredImage {
        orientation: orientation_of(&mut decoder),
        profile: decoder.icc_profile().unwrap_or(None),
        pixels: Pixels::Plain(DynamicImage::from_decoder(decoder).map_err(Failure::of_image)?),
    })
}

/// Returns the orientation of the EXIF data.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let decoder = WebPDecoder::new(Cursor::new(bytes));
    decoder.map_or(Orientation::NoTransforms, |mut decoder| {
        orientation_of(&mut decoder)
    })
}

fn orientation_of(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}
