//! TIFF files: the first image of the file.
//!
//! Read are grey (1, 2, 4, 8, 16 bit), palettes, RGB and CMYK (8, 16 bit), in strips or tiles, with the
//! compressions LZW, Deflate, PackBits, JPEG and CCITT group 4. Numbers of other kinds, such as floating
//! point, have no agreed range of brightness and are refused.

mod color;
mod jpeg_chunks;
mod palette;
#[cfg(test)]
pub(super) mod tests;

use std::io::{Cursor, Read, Seek};

use image::metadata::Orientation;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::{SampleFormat, Tag};
use tiff::{TiffError, TiffUnsupportedError};

use super::failure::{Failure, MAXIMUM_PIXELS, plausible};
use super::stored::{Pixels, StoredImage};
use crate::bounded_read::MIB;

/// The most bytes of a pixel: four values of 16 bit.
const MAXIMUM_PIXEL_BYTES: u64 = 8;
/// The most bytes of a tag, such as the positions of a million strips.
const MAXIMUM_TAG_BYTES: u64 = 16 * MIB;
/// The version of the raw format that is a TIFF file.
const DNG_VERSION: Tag = Tag::Unknown(50_706);

const MODERN_JPEG: u16 = 7;
const OLD_JPEG: u16 = 6;
const PALETTE: u16 = 3;
/// The first pixel is in the lowest bits of a byte.
const REVERSED: u16 = 2;

/// Returns width and height in pixels of the first image in a file of `length` bytes. Its strips or tiles must
/// be in the file; they are not decoded.
pub(super) fn check(reader: impl Read + Seek, length: u64) -> Result<(u32, u32), Failure> {
    let mut file = open(reader)?;
    check_chunks(&mut file, length)?;
    file.dimensions().map_err(failure)
}

/// Decodes the first image of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<StoredImage, Failure> {
    let mut file = open(Cursor::new(bytes))?;
    plausible(file.dimensions().map_err(failure)?)?;
    check_chunks(&mut file, bytes.len() as u64)?;

    let tag = |file: &mut Decoder<_>, tag| {
        let value = Decoder::find_tag_unsigned::<u16>(file, tag);
        value.map_err(failure)
    };
    let pixels = match tag(&mut file, Tag::Compression)? {
        Some(MODERN_JPEG) => jpeg_chunks::decode(&mut file)?,
        Some(OLD_JPEG) => {
            let found = "a TIFF image with the obsolete kind of JPEG compression";
            return Err(Failure::Unsupported(found.into()));
        }
        _ => match tag(&mut file, Tag::PhotometricInterpretation)? {
            Some(PALETTE) => Pixels::Plain(palette::decode(&mut file, bytes)?),
            _ => color::decode(&mut file)?,
        },
    };
    Ok(StoredImage {
        pixels,
        orientation: orientation_of(&mut file),
        profile: file.get_tag_u8_vec(Tag::IccProfile).ok(),
    })
}

/// Returns the orientation that a tag states.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let file = open(Cursor::new(bytes));
    file.map_or(Orientation::NoTransforms, |mut file| {
        orientation_of(&mut file)
    })
}

fn orientation_of<R: Read + Seek>(file: &mut Decoder<R>) -> Orientation {
    let value = file
        .find_tag_unsigned::<u16>(Tag::Orientation)
        .unwrap_or(None);
    let orientation = value.and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?));
    orientation.unwrap_or(Orientation::NoTransforms)
}

fn open<R: Read + Seek>(reader: R) -> Result<Decoder<R>, Failure> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = (MAXIMUM_PIXELS * MAXIMUM_PIXEL_BYTES) as usize;
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    limits.ifd_value_size = MAXIMUM_TAG_BYTES as usize;
    let mut file = Decoder::new(reader).map_err(failure)?.with_limits(limits);
    if let Ok(Some(_)) = file.find_tag(DNG_VERSION) {
        return Err(Failure::Unsupported(super::format::CAMERA_RAW.into()));
    }
    if let Ok(Some(REVERSED)) = file.find_tag_unsigned::<u16>(Tag::FillOrder) {
        let found = "a TIFF image with reversed bits (FillOrder 2)";
        return Err(Failure::Unsupported(found.into()));
    }
    let formats = file.find_tag_unsigned_vec::<u16>(Tag::SampleFormat);
    let unsigned = |format: &u16| *format == SampleFormat::Uint.to_u16();
    match formats.map_err(failure)? {
        Some(formats) if !formats.iter().all(unsigned) => {
            let found = "a TIFF image of floating-point or signed numbers";
            Err(Failure::Unsupported(found.into()))
        }
        _ => Ok(file),
    }
}

/// Checks that all strips or tiles are within the file.
fn check_chunks<R: Read + Seek>(file: &mut Decoder<R>, length: u64) -> Result<(), Failure> {
    let mut values = |strips, tiles| {
        let mut find = |tag| file.find_tag_unsigned_vec::<u64>(tag).map_err(failure);
        Ok(match find(strips)? {
            Some(values) => values,
            None => find(tiles)?.unwrap_or_default(),
        })
    };
    let offsets = values(Tag::StripOffsets, Tag::TileOffsets)?;
    let lengths = values(Tag::StripByteCounts, Tag::TileByteCounts)?;
    let within = |(offset, bytes): (&u64, &u64)| offset.saturating_add(*bytes) <= length;
    match offsets.iter().zip(&lengths).all(within) {
        true => Ok(()),
        false => Err(Failure::Truncated),
    }
}

fn failure(error: TiffError) -> Failure {
    match error {
        TiffError::IoError(error) => Failure::of_io(error),
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(method)) => {
            Failure::Unsupported(format!("a TIFF image with {method:?} compression"))
        }
        TiffError::UnsupportedError(error) => {
            Failure::Unsupported(format!("a TIFF image with {error}"))
        }
        error => Failure::broken(error),
    }
}
