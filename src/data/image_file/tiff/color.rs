//! TIFF images whose values are brightnesses or inks.

use std::io::{Read, Seek};

use image::{ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::failure;
use crate::data::image_file::failure::Failure;
use crate::data::image_file::stored::Pixels;

/// What the value after the colours of a pixel is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Unused,
    /// The colours were multiplied by it.
    AssociatedAlpha,
    Alpha,
}

/// Decodes an image.
pub(super) fn decode<R: Read + Seek>(file: &mut Decoder<R>) -> Result<Pixels, Failure> {
    let size = file.dimensions().map_err(failure)?;
    let color = file.colortype().map_err(failure)?;
    let extra = match file.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples) {
        Ok(Some(kinds)) => match kinds.first() {
            Some(1) => Extra::AssociatedAlpha,
            Some(2) => Extra::Alpha,
            _ => Extra::Unused,
        },
        _ => Extra::Unused,
    };
    let read = |file: &mut Decoder<R>| {
        let mut values = DecodingResult::U8(Vec::new());
        let layout = file.read_image_to_buffer(&mut values).map_err(failure)?;
        let planes = layout.planes;
        Ok::<_, Failure>(match values {
            DecodingResult::U8(values) => interleaved(values, planes),
            // Rounded as image's conversion from 16 to 8 bit does.
            DecodingResult::U16(values) => {
                let eight_bit = |value: &u16| ((u32::from(*value) + 128) / 257) as u8;
                interleaved(values.iter().map(eight_bit).collect(), planes)
            }
            _ => Vec::new(),
        })
    };
    let plain = match color {
        ColorType::Gray(bits @ (1 | 2 | 4)) => {
            let levels = (1_u32 << bits) - 1;
            let values = unpacked(&read(file)?, size, bits);
            let scaled = values.iter().map(|v| (u32::from(*v) * 255 / levels) as u8);
            buffer::<Luma<u8>>(size, scaled.collect())?.into()
        }
        ColorType::Gray(8 | 16) => buffer::<Luma<u8>>(size, read(file)?)?.into(),
        ColorType::Multiband {
            bit_depth: 8 | 16,
            num_samples: 2,
        } => {
            let values = with_alpha(read(file)?, 2, extra);
            buffer::<LumaA<u8>>(size, values)?.into()
        }
        ColorType::RGB(8 | 16) => buffer::<Rgb<u8>>(size, read(file)?)?.into(),
        ColorType::RGBA(8 | 16) => {
            let values = with_alpha(read(file)?, 4, extra);
            buffer::<Rgba<u8>>(size, values)?.into()
        }
        ColorType::CMYK(8 | 16) => {
            let inks = read(file)?;
            // Checks the length.
            let inks = buffer::<Rgba<u8>>(size, inks)?.into_raw();
            return Ok(Pixels::Cmyk { size, inks });
        }
        other => {
            let found = format!("a TIFF image with {other:?} values");
            return Err(Failure::Unsupported(found));
        }
    };
    Ok(Pixels::Plain(plain))
}

fn buffer<P: Pixel<Subpixel = u8>>(
    (width, height): (u32, u32),
    values: Vec<u8>,
) -> Result<ImageBuffer<P, Vec<u8>>, Failure> {
    ImageBuffer::from_raw(width, height, values)
        .ok_or_else(|| Failure::broken("it has too few values"))
}

/// Returns the values pixel by pixel, from `planes` planes of equal length one after the other.
fn interleaved(values: Vec<u8>, planes: usize) -> Vec<u8> {
    if planes < 2 {
        return values;
    }
    let length = values.len() / planes;
    let at = |i: usize| values[i % planes * length + i / planes];
    (0..length * planes).map(at).collect()
}

/// Returns the values of rows that begin at a whole byte, with `bits` bits per value.
pub(super) fn unpacked(rows: &[u8], (width, height): (u32, u32), bits: u8) -> Vec<u8> {
    let (width, bits) = (width as usize, usize::from(bits));
    let row_bytes = (width * bits).div_ceil(8).max(1);
    let mut values = Vec::with_capacity(width * height as usize);
    for row in rows.chunks_exact(row_bytes) {
        values.extend((0..width).map(|x| {
            let bit = x * bits;
            row[bit / 8] >> (8 - bits - bit % 8) & ((1_u16 << bits) - 1) as u8
        }));
    }
    values
}

/// Returns pixels of `channels` values whose last one is the alpha that images have: not multiplied into the
/// colours, and 255 where the file's extra value is something else.
fn with_alpha(mut values: Vec<u8>, channels: usize, extra: Extra) -> Vec<u8> {
    for pixel in values.chunks_exact_mut(channels) {
        let Some((alpha, brightness)) = pixel.split_last_mut() else {
            continue;
        };
        match extra {
            Extra::Alpha => {}
            Extra::Unused => *alpha = 255,
            Extra::AssociatedAlpha if *alpha == 0 => {}
            Extra::AssociatedAlpha => {
                for value in brightness {
                    let divided = u32::from(*value) * 255 / u32::from(*alpha);
                    *value = divided.min(255) as u8;
                }
            }
        }
    }
    values
}
