//! GIF files: the first frame, on the canvas of the whole animation.

use std::io::Read;

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, Frame, MemoryLimit};
use image::metadata::Orientation;
use image::{DynamicImage, Rgba, RgbaImage};

use super::failure::{Failure, MAXIMUM_PIXELS, plausible};
use super::stored::{Pixels, StoredImage};

/// Returns width and height in pixels. The first frame must be complete; its pixels are not decoded.
pub(super) fn check(reader: impl Read) -> Result<(u32, u32), Failure> {
    let mut options = options();
    options.skip_frame_decoding(true);
    let mut decoder = options.read_info(reader).map_err(failure)?;
    first_frame(&mut decoder)?;
    Ok(canvas_size(&decoder))
}

/// Decodes the first frame. What it does not cover is transparent.
pub(super) fn decode(bytes: &[u8]) -> Result<StoredImage, Failure> {
    let mut decoder = options().read_info(bytes).map_err(failure)?;
    let (width, height) = plausible(canvas_size(&decoder))?;
    let frame = first_frame(&mut decoder)?.clone();
    let palette = decoder.global_palette().unwrap_or_default();
    let palette = frame.palette.as_deref().unwrap_or(palette);
    let color = |index: u8| {
        let from = usize::from(index) * 3;
        match palette.get(from..from + 3) {
            _ if frame.transparent == Some(index) => Rgba([0; 4]),
            Some(rgb) => Rgba([rgb[0], rgb[1], rgb[2], 255]),
            // As decoders do for an index beyond the palette.
            None => Rgba([0, 0, 0, 255]),
        }
    };
    let rgba: Vec<_> = (0..=255).map(color).collect();

    let mut canvas = RgbaImage::new(width, height);
    let row_length = usize::from(frame.width).max(1);
    for (y, row) in (u32::from(frame.top)..height).zip(frame.buffer.chunks_exact(row_length)) {
        for (x, index) in (u32::from(frame.left)..width).zip(row) {
            canvas.put_pixel(x, y, rgba[usize::from(*index)]);
        }
    }
    let opaque = canvas.pixels().all(|pixel| pixel.0[3] == 255);
    let image = DynamicImage::from(canvas);
    Ok(StoredImage {
        pixels: Pixels::Plain(match opaque {
            true => image.into_rgb8().into(),
            false => image,
        }),
        orientation: Orientation::NoTransforms,
        profile: decoder.icc_profile().map(<[u8]>::to_vec),
    })
}

fn options() -> DecodeOptions {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let limit = std::num::NonZeroU64::new(MAXIMUM_PIXELS).expect("the limit is not 0");
    options.set_memory_limit(MemoryLimit::Bytes(limit));
    options
}

fn canvas_size<R: Read>(decoder: &Decoder<R>) -> (u32, u32) {
    (u32::from(decoder.width()), u32::from(decoder.height()))
}

fn first_frame<R: Read>(decoder: &mut Decoder<R>) -> Result<&Frame<'static>, Failure> {
    match decoder.read_next_frame().map_err(failure)? {
        Some(frame) => Ok(frame),
        None => Err(Failure::broken("it has no frame")),
    }
}

fn failure(error: DecodingError) -> Failure {
    match error {
        DecodingError::Io(error) => Failure::of_io(error),
        DecodingError::UnexpectedEof => Failure::Truncated,
        error => Failure::broken(error),
    }
}
