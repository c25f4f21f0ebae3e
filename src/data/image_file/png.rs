//! PNG files: their chunks, and what is left out before decoding.
//!
//! Colour profiles and texts may be compressed: a file of 2 MB can contain a profile of 2 GB, which the
//! decoder would decompress before the first pixel. Texts are not used, and the profile is decompressed here
//! up to a limit.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::ops::Range;

use flate2::read::ZlibDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits};

use super::color_profile::MAXIMUM_PROFILE_BYTES;
use super::failure::{Failure, plausible};
use super::stored::{Pixels, StoredImage};
use crate::bounded_read::MIB;

/// The `IEND` chunk, the last of a PNG file: length 0, type, checksum.
pub(super) const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
/// The most memory that the decoder may use for what is not pixels, such as EXIF data.
pub(super) const MAXIMUM_METADATA_BYTES: u64 = 64 * MIB;
/// Bytes of the signature before the first chunk.
const SIGNATURE_BYTES: usize = 8;
/// Bytes of a chunk's length and type, which are before its data.
const HEAD_BYTES: usize = 8;
/// Bytes of a chunk's checksum, which is after its data.
const CHECKSUM_BYTES: usize = 4;
const COLOR_PROFILE: &[u8; 4] = b"iCCP";
/// The chunks that are left out: colour profiles, and texts of all kinds.
const LEFT_OUT: [&[u8; 4]; 4] = [COLOR_PROFILE, b"iTXt", b"tEXt", b"zTXt"];

/// Returns width and height in pixels, from the header.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), Failure> {
    Ok(decoder(&without_text_and_profiles(bytes))?.dimensions())
}

/// Returns whether the file has its `IEND` chunk, at the end or before bytes that an editor appended.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    bytes.ends_with(END)
        || chunks(bytes)
            .find(|chunk| chunk.kind == b"IEND")
            .is_some_and(|chunk| chunk.range.end <= bytes.len())
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<StoredImage, Failure> {
    if !is_complete(bytes) {
        return Err(Failure::Truncated);
    }
    // Before the decoder, whose buffers depend on the size.
    header_size(bytes).map(plausible).transpose()?;
    let plain = without_text_and_profiles(bytes);
    let mut decoder = decoder(&plain)?;
    plausible(decoder.dimensions())?;
    Ok(StoredImage {
        orientation: orientation_of(&mut decoder),
        profile: color_profile(bytes),
        pixels: Pixels::Plain(DynamicImage::from_decoder(decoder).map_err(Failure::of_image)?),
    })
}

/// Returns the orientation of the EXIF data.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let plain = without_text_and_profiles(bytes);
    decoder(&plain).map_or(Orientation::NoTransforms, |mut decoder| {
        orientation_of(&mut decoder)
    })
}

fn orientation_of(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn decoder(bytes: &[u8]) -> Result<PngDecoder<Cursor<&[u8]>>, Failure> {
    let mut limits = Limits::no_limits();
    // The buffer of the pixels does not count.
    limits.max_alloc = Some(MAXIMUM_METADATA_BYTES);
    PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(Failure::of_image)
}

/// A chunk of a PNG file.
struct Chunk<'a> {
    kind: &'a [u8; 4],
    /// Where it is in the file, with its length, type and checksum. The end may be after the file's.
    range: Range<usize>,
}

/// Returns the chunks of a PNG file. The last one may be incomplete.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut start = SIGNATURE_BYTES;
    std::iter::from_fn(move || {
        let head: &[u8; HEAD_BYTES] = bytes.get(start..)?.first_chunk()?;
        let (length, kind) = head.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let end = start + HEAD_BYTES + length + CHECKSUM_BYTES;
        let range = start..end;
        start = end;
        Some(Chunk {
            kind: kind.first_chunk()?,
            range,
        })
    })
}

/// Returns width and height in the header of a PNG file; `None` if it does not start with one.
fn header_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = chunks(bytes).next().filter(|chunk| chunk.kind == b"IHDR")?;
    let data = bytes.get(header.range.start + HEAD_BYTES..)?;
    let (width, data) = data.split_first_chunk()?;
    let (height, _) = data.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// Returns the colour profile; `None` without a profile, or if it is broken or too large.
fn color_profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let chunk = chunks(bytes).find(|chunk| chunk.kind == COLOR_PROFILE)?;
    let data = bytes.get(chunk.range.start + HEAD_BYTES..chunk.range.end - CHECKSUM_BYTES)?;
    // A name, a zero, the method of compression (0: zlib), and the compressed profile.
    let name = data.iter().position(|byte| *byte == 0)?;
    let compressed = data.get(name + 1..)?.strip_prefix(&[0])?;
    let limit = MAXIMUM_PROFILE_BYTES as u64 + 1;
    let mut profile = Vec::new();
    (ZlibDecoder::new(compressed)
        .take(limit)
        .read_to_end(&mut profile))
    .ok()?;
    (profile.len() <= MAXIMUM_PROFILE_BYTES).then_some(profile)
}

/// Returns a PNG file without colour profiles and texts.
pub(super) fn without_text_and_profiles(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut kept = Vec::new();
    let mut from = 0;
    for chunk in chunks(bytes).filter(|chunk| LEFT_OUT.contains(&chunk.kind)) {
        kept.extend_from_slice(&bytes[from..chunk.range.start]);
        from = chunk.range.end.min(bytes.len());
    }
    match from {
        0 => Cow::Borrowed(bytes),
        _ => {
            kept.extend_from_slice(&bytes[from..]);
            Cow::Owned(kept)
        }
    }
}
