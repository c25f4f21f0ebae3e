//! The chunks of a PNG file: the size in its header, and what is left out before decoding.
//!
//! Colour profiles and texts are not used. Both may be compressed: a file of 2 MB can contain a profile of
//! 2 GB, which a decoder would decompress before the first pixel.

use std::borrow::Cow;
use std::ops::Range;

/// Bytes of the signature before the first chunk.
const SIGNATURE_BYTES: usize = 8;
/// Bytes of a chunk's length and type, which are before its data.
const HEAD_BYTES: usize = 8;
/// Bytes of a chunk's checksum, which is after its data.
const CHECKSUM_BYTES: usize = 4;
/// The chunks that are left out: colour profiles, and texts of all kinds.
const UNUSED: [&[u8; 4]; 4] = [b"iCCP", b"iTXt", b"tEXt", b"zTXt"];

/// A chunk of a PNG file.
pub(super) struct Chunk<'a> {
    pub(super) kind: &'a [u8; 4],
    /// Where it is in the file, with its length, type and checksum. The end may be after the file's.
    pub(super) range: Range<usize>,
}

/// Returns the chunks of a PNG file. The last one may be incomplete.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
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
pub(super) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = chunks(bytes).next().filter(|chunk| chunk.kind == b"IHDR")?;
    let data = bytes.get(header.range.start + HEAD_BYTES..)?;
    let (width, data) = data.split_first_chunk()?;
    let (height, _) = data.split_first_chunk()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

/// Returns a PNG file without colour profiles and texts.
pub(super) fn without_text_and_profiles(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut kept = Vec::new();
    let mut from = 0;
    for chunk in chunks(bytes).filter(|chunk| UNUSED.contains(&chunk.kind)) {
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
