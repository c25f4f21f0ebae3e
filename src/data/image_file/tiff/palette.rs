//! TIFF images with a palette.

use std::io::{Cursor, Read, Seek};

use image::{DynamicImage, RgbImage};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{ByteOrder, Tag};

use super::color::unpacked;
use super::{failure, open};
use crate::data::image_file::failure::Failure;

const BLACK_IS_ZERO: u16 = 1;

/// Decodes the image of `file`, whose bytes are given.
///
/// The decoder refuses palettes. Therefore it reads a copy of the file that says the indices were shades of
/// grey.
pub(super) fn decode<R: Read + Seek>(
    file: &mut Decoder<R>,
    bytes: &[u8],
) -> Result<DynamicImage, Failure> {
    let palette = file.get_tag_u16_vec(Tag::ColorMap).map_err(failure)?;
    let size = file.dimensions().map_err(failure)?;
    let indices = {
        let mut grey = open(Cursor::new(with_grey_indices(file, bytes)?))?;
        let mut values = DecodingResult::U8(Vec::new());
        let bits = match grey.colortype().map_err(failure)? {
            ColorType::Gray(bits @ (1 | 2 | 4 | 8)) => bits,
            other => {
                return Err(Failure::Unsupported(format!(
                    "a TIFF image with {other:?} indices"
                )));
            }
        };
        grey.read_image_to_buffer(&mut values).map_err(failure)?;
        match values {
            DecodingResult::U8(values) if bits < 8 => unpacked(&values, size, bits),
            DecodingResult::U8(values) => values,
            _ => Vec::new(),
        }
    };
    // All reds, then all greens, then all blues. Some writers store 8 bit values without scaling them.
    let length = palette.len() / 3;
    let shift = if palette.iter().any(|value| *value > 255) {
        8
    } else {
        0
    };
    let color = |index: usize| {
        let value = |channel: usize| match index < length {
            true => (palette[channel * length + index] >> shift) as u8,
            false => 0,
        };
        [value(0), value(1), value(2)]
    };
    let rgb: Vec<[u8; 3]> = (0..256).map(color).collect();
    let values = indices.iter().flat_map(|index| rgb[usize::from(*index)]);
    RgbImage::from_raw(size.0, size.1, values.collect())
        .map(DynamicImage::from)
        .ok_or_else(|| Failure::broken("it has too few values"))
}

/// Returns the file with `BlackIsZero` as its photometric interpretation.
fn with_grey_indices<R: Read + Seek>(
    file: &mut Decoder<R>,
    bytes: &[u8],
) -> Result<Vec<u8>, Failure> {
    let directory = file.ifd_pointer().map(|pointer| pointer.0);
    let little = file.byte_order() == ByteOrder::LittleEndian;
    let short = |bytes: [u8; 2]| match little {
        true => u16::from_le_bytes(bytes),
        false => u16::from_be_bytes(bytes),
    };
    let short_at = |at: usize| Some(short(*bytes.get(at..)?.first_chunk()?));
    // BigTIFF has wider counts.
    let big = short_at(2) == Some(43);
    let (count_bytes, entry_bytes, value_at) = if big { (8, 20, 12) } else { (2, 12, 8) };
    let entries = directory.map(|at| at as usize + count_bytes);
    let entry = entries.and_then(|first| {
        let entries = (0..usize::from(u16::MAX)).map(|i| first + i * entry_bytes);
        let mut entries = entries.take_while(|at| at + entry_bytes <= bytes.len());
        entries.find(|at| short_at(*at) == Some(Tag::PhotometricInterpretation.to_u16()))
    });
    let Some(at) = entry.map(|entry| entry + value_at) else {
        return Err(Failure::broken("its directory has no colour type"));
    };
    let mut grey = bytes.to_vec();
    grey[at..at + 2].copy_from_slice(&match little {
        true => BLACK_IS_ZERO.to_le_bytes(),
        false => BLACK_IS_ZERO.to_be_bytes(),
    });
    Ok(grey)
}
