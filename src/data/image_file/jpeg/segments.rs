//! The segments of a JPEG file before its compressed data: what they contain besides the image, and whether
//! the end of the image follows.

use std::ops::Range;

use image::metadata::Orientation;

use crate::data::image_file::color_profile::MAXIMUM_PROFILE_BYTES;

/// The end-of-image marker. In compressed data, D9 never follows the byte FF.
pub(in crate::data::image_file) const END: &[u8] = &[0xff, 0xd9];

const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
pub(super) const APP14: u8 = 0xee;

const EXIF: &[u8] = b"Exif\0\0";
const ICC_PROFILE: &[u8] = b"ICC_PROFILE\0";

/// A marker with the data that belongs to it.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) data: &'a [u8],
    /// Where it is in the file, with its marker and length.
    range: Range<usize>,
}

/// Returns the segments up to the first compressed data, whose start is the last one. Bytes between
/// segments are skipped, as decoders do.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 2;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            let pair = bytes.get(at..at + 2)?;
            let marker = pair[1];
            if pair[0] != 0xff || matches!(marker, 0xff | 0 | TEM | RST0..=SOI) {
                at += 1;
                continue;
            }
            let length = bytes.get(at + 2..at + 4)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let range = at..at + 2 + length;
            at = range.end;
            ended = marker == SOS || marker == EOI;
            return Some(Segment {
                marker,
                data: bytes.get(range.start + 4..range.end)?,
                range,
            });
        }
        None
    })
}

/// Returns whether the file contains the end of its image, at the end of the file or before bytes that a
/// camera or an editor appended. A thumbnail in a segment has its own end marker, which does not count.
pub(in crate::data::image_file) fn is_complete(bytes: &[u8]) -> bool {
    bytes.ends_with(END)
        || segments(bytes)
            .find(|segment| segment.marker == SOS)
            .and_then(|start| bytes.get(start.range.end..))
            .is_some_and(|scan| scan.windows(2).any(|pair| pair == END))
}

/// Returns the orientation of the EXIF data.
pub(in crate::data::image_file) fn orientation(bytes: &[u8]) -> Orientation {
    segments(bytes)
        .filter(|segment| segment.marker == APP1)
        .find_map(|segment| Orientation::from_exif_chunk(segment.data.strip_prefix(EXIF)?))
        .unwrap_or(Orientation::NoTransforms)
}

/// Returns the colour profile, which may be divided into up to 255 numbered parts. `None` without a
/// profile, or if a part is missing, or it is too large.
pub(super) fn color_profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let parts = segments(bytes)
        .filter(|segment| segment.marker == APP2)
        .filter_map(|segment| segment.data.strip_prefix(ICC_PROFILE));
    let mut parts: Vec<(u8, u8, &[u8])> = parts
        .filter_map(|part| match part {
            [number, count, data @ ..] => Some((*number, *count, data)),
            _ => None,
        })
        .collect();
    parts.sort_by_key(|(number, ..)| *number);
    let length: usize = parts.iter().map(|(.., data)| data.len()).sum();
    let numbered = |(i, part): (usize, &(u8, u8, &[u8]))| {
        usize::from(part.0) == i + 1 && usize::from(part.1) == parts.len()
    };
    let complete = !parts.is_empty() && parts.iter().enumerate().all(numbered);
    (complete && length <= MAXIMUM_PROFILE_BYTES)
        .then(|| parts.iter().flat_map(|(.., data)| *data).copied().collect())
}

/// Returns the file without the parts of its header that libjpeg-turbo warns about, although it can read
/// the image: bytes between segments, a JFIF version other than 1, and a colour transform that
/// Adobe did not define. The wrapper does not distinguish these warnings from errors.
pub(super) fn with_plain_header(bytes: &[u8]) -> Vec<u8> {
    const JFIF_VERSION: usize = 5;
    const ADOBE_TRANSFORM: usize = 11;
    let mut plain = vec![0xff, SOI];
    let mut rest = bytes.len();
    let components = segments(bytes)
        .find(|segment| matches!(segment.marker, 0xc0..=0xcf) && segment.data.len() > 5)
        .map_or(3, |frame| frame.data[5]);
    for segment in segments(bytes) {
        rest = segment.range.end;
        let start = plain.len() + 4;
        plain.extend_from_slice(&bytes[segment.range]);
        let data = &mut plain[start..];
        if segment.marker == APP0 && data.starts_with(b"JFIF\0") && data.len() > JFIF_VERSION {
            data[JFIF_VERSION] = 1;
        }
        if segment.marker == APP14 && data.starts_with(b"Adobe") && data.len() > ADOBE_TRANSFORM {
            // What libjpeg-turbo assumes: YCbCr and YCCK.
            let usual = if components == 4 { 2 } else { 1 };
            let transform = &mut data[ADOBE_TRANSFORM];
            *transform = if *transform > 2 { usual } else { *transform };
        }
    }
    plain.extend_from_slice(&bytes[rest.min(bytes.len())..]);
    plain
}
