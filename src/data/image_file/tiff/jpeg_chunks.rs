//! TIFF images whose strips or tiles are JPEG images. They share tables, which are in a tag.

use std::io::{Read, Seek, SeekFrom};

use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::failure;
use crate::data::image_file::failure::Failure;
use crate::data::image_file::jpeg;
use crate::data::image_file::stored::Pixels;

const CHUNKY: u16 = 1;
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const CMYK: u16 = 5;
const YCBCR: u16 = 6;
/// The most bytes of shared tables: four tables of quantisation and eight of Huffman codes have 3 KiB.
const MAXIMUM_TABLES: usize = 64 << 10;
const START_OF_IMAGE: &[u8] = &[0xff, 0xd8];
/// Adobe's segment without its last byte, which is the colour transform. JPEG streams in a TIFF file rarely
/// have one: the colours are in the TIFF file's own tag.
const ADOBE: &[u8] = b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0";

/// Decodes an image.
pub(super) fn decode<R: Read + Seek>(file: &mut Decoder<R>) -> Result<Pixels, Failure> {
    let mut tag = |tag| file.find_tag_unsigned::<u16>(tag).map_err(failure);
    if tag(Tag::PlanarConfiguration)?.unwrap_or(CHUNKY) != CHUNKY {
        let found = "a TIFF image with JPEG compression in separate planes";
        return Err(Failure::Unsupported(found.into()));
    }
    let photometric = tag(Tag::PhotometricInterpretation)?.unwrap_or_default();
    let samples = tag(Tag::SamplesPerPixel)?.unwrap_or(1);
    let channels = Channels::of(photometric, samples, has_alpha(file)?)?;
    let transform = u8::from(photometric == YCBCR);
    let tables = file.get_tag_u8_vec(Tag::JPEGTables).unwrap_or_default();
    let tables = match tables.strip_suffix(jpeg::segments::END) {
        Some(tables) => tables.strip_prefix(START_OF_IMAGE).unwrap_or(tables),
        None => &[],
    };
    if tables.len() > MAXIMUM_TABLES {
        return Err(Failure::broken("its JPEG tables are too large"));
    }
    let head = [START_OF_IMAGE, ADOBE, &[transform], tables].concat();

    let size = file.dimensions().map_err(failure)?;
    let chunks = Chunks::of(file)?;
    let mut canvas: Option<Canvas> = None;
    for (i, (offset, length)) in (0..).zip(&chunks.places) {
        let (x, y) = (
            i % chunks.across * chunks.width,
            i / chunks.across * chunks.height,
        );
        if y >= size.1 {
            break;
        }
        let stream = [&head[..], &jpeg_data(file, *offset, *length)?].concat();
        // A file of few bytes may refer to one large JPEG image many times.
        let (width, height) = jpeg::size(&stream)?;
        if width > chunks.width || height > chunks.height {
            return Err(Failure::broken(
                "a strip or tile is larger than its description",
            ));
        }
        let part = Canvas::of(jpeg::decode_pixels(&stream, None)?)?;
        let canvas = canvas.get_or_insert_with(|| Canvas::empty(size, part.channels));
        canvas.copy(&part, (x, y), (chunks.width, chunks.height))?;
    }
    let canvas = canvas.ok_or_else(|| Failure::broken("it has no strips or tiles"))?;
    canvas.into_pixels(channels)
}

/// Returns whether the fourth sample of RGB is opacity.
fn has_alpha<R: Read + Seek>(file: &mut Decoder<R>) -> Result<bool, Failure> {
    let extra = file.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples);
    let first = extra
        .map_err(failure)?
        .and_then(|extra| extra.first().copied());
    Ok(matches!(first, Some(1 | 2)))
}

/// What the channels are.
#[derive(Clone, Copy)]
enum Channels {
    /// Grey; 255 is black if it is inverted.
    Gray {
        inverted: bool,
    },
    Rgb,
    /// RGB and a fourth channel.
    Rgba {
        has_alpha: bool,
    },
    Cmyk,
}

impl Channels {
    fn of(photometric: u16, samples: u16, has_alpha: bool) -> Result<Self, Failure> {
        match (photometric, samples) {
            (WHITE_IS_ZERO | BLACK_IS_ZERO, 1) => Ok(Self::Gray {
                inverted: photometric == WHITE_IS_ZERO,
            }),
            (RGB | YCBCR, 3) => Ok(Self::Rgb),
            (RGB, 4) => Ok(Self::Rgba { has_alpha }),
            (CMYK, 4) => Ok(Self::Cmyk),
            _ => {
                let found =
                    "a TIFF image with JPEG compression of colours other than grey, RGB and CMYK";
                Err(Failure::Unsupported(found.into()))
            }
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Gray { .. } => 1,
            Self::Rgb => 3,
            Self::Rgba { .. } | Self::Cmyk => 4,
        }
    }
}

/// Returns the data of a strip or tile without the marker at its start.
fn jpeg_data<R: Read + Seek>(
    file: &mut Decoder<R>,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, Failure> {
    let reader = file.inner();
    let mut data = Vec::new();
    (reader.seek(SeekFrom::Start(offset)))
        .and_then(|_| reader.take(length).read_to_end(&mut data))
        .map_err(Failure::of_io)?;
    match data.starts_with(START_OF_IMAGE) {
        true => Ok(data.split_off(START_OF_IMAGE.len())),
        false => Err(Failure::broken("a strip or tile is not JPEG data")),
    }
}

/// An image whose number of channels is known only when its first strip or tile was decoded.
struct Canvas {
    size: (u32, u32),
    channels: usize,
    values: Vec<u8>,
}

impl Canvas {
    fn empty((width, height): (u32, u32), channels: usize) -> Self {
        Self {
            size: (width, height),
            channels,
            values: vec![0; width as usize * height as usize * channels],
        }
    }

    fn of(part: Pixels) -> Result<Self, Failure> {
        let (size, channels, values) = match part {
            Pixels::Plain(DynamicImage::ImageLuma8(part)) => {
                (part.dimensions(), 1, part.into_raw())
            }
            Pixels::Plain(DynamicImage::ImageRgb8(part)) => (part.dimensions(), 3, part.into_raw()),
            Pixels::Plain(_) => return Err(Failure::broken("a strip or tile is not 8 bit")),
            Pixels::Cmyk { size, mut inks } => {
                // Not inverted in TIFF files, unlike in JPEG files.
                inks.iter_mut().for_each(|ink| *ink = 255 - *ink);
                (size, 4, inks)
            }
        };
        Ok(Self {
            size,
            channels,
            values,
        })
    }

    /// Copies the part of a chunk of `chunk` pixels that is in the image to `at`.
    fn copy(&mut self, part: &Canvas, at: (u32, u32), chunk: (u32, u32)) -> Result<(), Failure> {
        let width = chunk.0.min(self.size.0 - at.0);
        let height = chunk.1.min(self.size.1 - at.1);
        if part.size.0 < width || part.size.1 < height || part.channels != self.channels {
            return Err(Failure::broken(
                "a strip or tile differs from its description",
            ));
        }
        let length = width as usize * self.channels;
        let place =
            |width: u32, x: u32, y: u32| (y as usize * width as usize + x as usize) * self.channels;
        for y in 0..height {
            let from = place(part.size.0, 0, y);
            let to = place(self.size.0, at.0, at.1 + y);
            self.values[to..to + length].copy_from_slice(&part.values[from..from + length]);
        }
        Ok(())
    }

    fn into_pixels(mut self, channels: Channels) -> Result<Pixels, Failure> {
        if self.channels != channels.count() {
            return Err(Failure::broken(
                "a strip or tile differs from its description",
            ));
        }
        let (width, height) = self.size;
        let plain = match channels {
            Channels::Gray { inverted } => {
                if inverted {
                    self.values
                        .iter_mut()
                        .for_each(|value| *value = 255 - *value);
                }
                GrayImage::from_raw(width, height, self.values).map(DynamicImage::from)
            }
            Channels::Rgb => RgbImage::from_raw(width, height, self.values).map(DynamicImage::from),
            Channels::Rgba { has_alpha } => {
                if !has_alpha {
                    self.values
                        .chunks_exact_mut(4)
                        .for_each(|pixel| pixel[3] = 255);
                }
                RgbaImage::from_raw(width, height, self.values).map(DynamicImage::from)
            }
            Channels::Cmyk => {
                return Ok(Pixels::Cmyk {
                    size: self.size,
                    inks: self.values,
                });
            }
        };
        Ok(Pixels::Plain(plain.expect("the values fill the image")))
    }
}

/// Where the strips or tiles are.
struct Chunks {
    width: u32,
    height: u32,
    /// Chunks in a row of the image.
    across: u32,
    /// Offset and length in the file.
    places: Vec<(u64, u64)>,
}

impl Chunks {
    fn of<R: Read + Seek>(file: &mut Decoder<R>) -> Result<Self, Failure> {
        let size = file.dimensions().map_err(failure)?;
        let (width, height) = file.chunk_dimensions();
        if width == 0 || height == 0 {
            return Err(Failure::broken("a strip or tile has no size"));
        }
        let mut find = |strips, tiles| {
            let values = match file.find_tag_unsigned_vec::<u64>(strips) {
                Ok(None) => file.find_tag_unsigned_vec::<u64>(tiles),
                values => values,
            };
            Ok(values.map_err(failure)?.unwrap_or_default())
        };
        let offsets = find(Tag::StripOffsets, Tag::TileOffsets)?;
        let lengths = find(Tag::StripByteCounts, Tag::TileByteCounts)?;
        let (across, down) = (size.0.div_ceil(width), size.1.div_ceil(height));
        if offsets.len().min(lengths.len()) < across as usize * down as usize {
            return Err(Failure::broken("it has too few strips or tiles"));
        }
        Ok(Self {
            width,
            height,
            across,
            places: offsets.into_iter().zip(lengths).collect(),
        })
    }
}
