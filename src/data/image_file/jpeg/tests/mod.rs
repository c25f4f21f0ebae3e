//! JPEG files of all layouts, warnings of the decoder, and reduced decoding.

mod block_writer;
mod reduced;

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;
use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

use super::*;
use crate::data::image_file::decode_image;
use block_writer::{Component, Layout};

fn decoded(bytes: &[u8], min_side: Option<u32>) -> RgbImage {
    decode_image(Path::new("x.jpg"), bytes, min_side).unwrap()
}

/// A photograph-like JPEG: smooth shades with fine grain.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        let shade = |c: u32| {
            let (x, y) = (x as f32 / 97.0, y as f32 / 61.0);
            120.0 + 70.0 * (x + c as f32).sin() * (y - 0.7 * c as f32).cos()
        };
        let grain = (x * 7919 + y * 104_729) % 13;
        Rgb([0, 1, 2].map(|c| (shade(c) + grain as f32) as u8))
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// Sampling factors of three components, and the usual name.
const SAMPLINGS: [[(usize, usize); 3]; 8] = [
    [(1, 1), (1, 1), (1, 1)], // 4:4:4
    [(2, 1), (1, 1), (1, 1)], // 4:2:2
    [(2, 2), (1, 1), (1, 1)], // 4:2:0
    [(1, 2), (1, 1), (1, 1)], // 4:4:0
    [(4, 1), (1, 1), (1, 1)], // 4:1:1
    [(4, 2), (1, 1), (1, 1)], // 4:1:0
    [(1, 1), (2, 2), (1, 1)], // More samples of a chroma component than of luma.
    [(2, 2), (2, 1), (1, 2)],
];

/// Orders of scans with one component each, and scans with several.
const SCANS: [&[&[usize]]; 7] = [
    &[&[0], &[1], &[2]],
    &[&[1], &[2], &[0]],
    &[&[2], &[0], &[1]],
    &[&[0], &[1, 2]],
    &[&[1, 2], &[0]],
    &[&[0, 1], &[2]],
    &[&[1], &[0, 2]],
];

/// The file: baseline, one scan per component, 4:2:0, of one colour. A decoder read green stripes with
/// the mean colour (1, 189, 0).
#[test]
fn one_scan_per_component_with_subsampled_chroma_has_the_right_colour() {
    let mut layout = layout((64, 48), SAMPLINGS[2], 0);
    layout.scans = vec![vec![0], vec![1], vec![2]];
    // (138, 125, 126) in YCbCr is (129, 126.3, 134.4).
    for (component, value) in layout.components.iter_mut().zip([1, -2, 6]) {
        component.blocks.fill(value);
    }
    let image = decoded(&layout.file(), None);
    for pixel in image.pixels() {
        let near = |(a, b): (&u8, u8)| a.abs_diff(b) <= 2;
        assert!(pixel.0.iter().zip([138, 125, 126]).all(near), "{pixel:?}");
    }
}

/// Returns a file of one scan whose blocks depend on `seed`.
fn layout(size: (usize, usize), sampling: [(usize, usize); 3], seed: u64) -> Layout {
    let mut layout = Layout {
        width: size.0,
        height: size.1,
        components: sampling
            .map(|(horizontal, vertical)| Component {
                horizontal,
                vertical,
                blocks: Vec::new(),
            })
            .to_vec(),
        scans: vec![vec![0, 1, 2]],
        restart_interval: 0,
        progressive: false,
    };
    let mut state = seed;
    for i in 0..3 {
        let (columns, rows) = layout.blocks(&layout.components[i]);
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as i32 % 100
        };
        layout.components[i].blocks = (0..columns * rows).map(|_| next()).collect();
    }
    layout
}

/// The mean of channel `c` in the cell of an RGB image, of `cell` columns and rows, that contains the pixel `first`.
/// Beyond the image, the last column and row are repeated.
fn cell_mean(
    pixels: &[u8],
    (width, height): (usize, usize),
    first: [usize; 2],
    cell: [usize; 2],
    c: usize,
) -> f64 {
    let start = |axis: usize| first[axis] / cell[axis] * cell[axis];
    let value = |x: usize, y: usize| {
        let (x, y) = (x.min(width - 1), y.min(height - 1));
        f64::from(pixels[(y * width + x) * 3 + c])
    };
    let rows = start(1)..start(1) + cell[1];
    let values = rows.flat_map(|y| (start(0)..start(0) + cell[0]).map(move |x| value(x, y)));
    values.sum::<f64>() / (cell[0] * cell[1]) as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// The same blocks have the same pixels, however they are divided into scans.
    #[test]
    fn scans_restarts_and_progression_do_not_change_pixels(
        size in (1_usize..70, 1_usize..70),
        sampling in 0..SAMPLINGS.len(),
        scans in 0..SCANS.len(),
        restart_interval in 0_usize..5,
        progressive: bool,
        seed: u64,
    ) {
        let interleaved = layout(size, SAMPLINGS[sampling], seed);
        let other = Layout {
            scans: SCANS[scans].iter().map(|scan| scan.to_vec()).collect(),
            restart_interval,
            progressive,
            ..interleaved.clone()
        };
        prop_assume!(size.0.max(size.1) < 50 * size.0.min(size.1));
        prop_assert_eq!(decoded(&interleaved.file(), None), decoded(&other.file(), None));
    }

    /// With chroma of one value, a pixel's colour is that of its luma block.
    #[test]
    fn flat_blocks_have_the_colours_of_the_formula(
        size in (1_usize..70, 1_usize..70),
        sampling in 0_usize..6,
        scans in 0..SCANS.len(),
        chroma in (-60_i32..60, -60_i32..60),
        progressive: bool,
        seed: u64,
    ) {
        prop_assume!(size.0.max(size.1) < 50 * size.0.min(size.1));
        let mut layout = layout(size, SAMPLINGS[sampling], seed);
        layout.scans = SCANS[scans].iter().map(|scan| scan.to_vec()).collect();
        layout.progressive = progressive;
        layout.components[1].blocks.fill(chroma.0);
        layout.components[2].blocks.fill(chroma.1);
        let image = decoded(&layout.file(), None);
        prop_assert_eq!(image.dimensions(), (size.0 as u32, size.1 as u32));
        let columns = layout.blocks(&layout.components[0]).0;
        let (cb, cr) = (f64::from(chroma.0), f64::from(chroma.1));
        for (x, y, pixel) in image.enumerate_pixels() {
            let block = (y / 8) as usize * columns + (x / 8) as usize;
            let luma = f64::from(128 + layout.components[0].blocks[block]);
            let expected = [
                luma + 1.402 * cr,
                luma - 0.344_136 * cb - 0.714_136 * cr,
                luma + 1.772 * cb,
            ];
            for (value, expected) in pixel.0.iter().zip(expected) {
                let difference = (f64::from(*value) - expected.clamp(0.0, 255.0)).abs();
                prop_assert!(difference <= 1.0, "{} at ({}, {}), expected {}", value, x, y, expected);
            }
        }
    }

    /// A smooth image stays what it is with any settings of the encoder, at full and at reduced size.
    #[test]
    fn smooth_images_stay_what_they_are(
        size in (8_usize..120, 8_usize..120),
        subsampling in 0_usize..7,
        kind in 0_usize..4,
        quality in 85_i32..=100,
        optimize: bool,
        progressive: bool,
    ) {
        let (width, height) = size;
        let channels = [3, 3, 1, 4][kind];
        let shade = |x: f64, y: f64, c: f64| {
            // Waves of at least 125 pixels.
            120.0 + 60.0 * (x / 40.0 + c).sin() + 40.0 * (y / 30.0 - c).cos()
        };
        let shades = |x: usize, y: usize| {
            (0..channels).map(move |c| shade(x as f64, y as f64, c as f64).round() as u8)
        };
        let pixels: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| shades(x, y)))
            .collect();
        let (format, colorspace) = [
            (PixelFormat::RGB, Colorspace::YCbCr),
            (PixelFormat::RGB, Colorspace::RGB),
            (PixelFormat::GRAY, Colorspace::Gray),
            (PixelFormat::CMYK, Colorspace::CMYK),
        ][kind];
        let mut compressor = Compressor::new().unwrap();
        let subsampling = match kind {
            0 => [
                Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Sub4x1,
                Subsamp::Sub1x4, Subsamp::None,
            ][subsampling],
            2 => Subsamp::Gray,
            _ => Subsamp::None,
        };
        compressor.set_subsamp(subsampling).unwrap();
        compressor.set_colorspace(colorspace).unwrap();
        compressor.set_quality(quality).unwrap();
        compressor.set_optimize(optimize).unwrap();
        compressor.set_progressive(progressive).unwrap();
        let source = Image { pixels: &pixels[..], width, pitch: width * channels, height, format };
        let bytes = compressor.compress_to_vec(source).unwrap();

        // Chroma of a quarter of the columns or rows is repeated, in reduced images too.
        let chroma_cell = match subsampling {
            Subsamp::Sub4x1 => Some([4, 1]),
            Subsamp::Sub1x4 => Some([1, 4]),
            _ => None,
        };
        for min_side in [None, Some(2)] {
            let image = decoded(&bytes, min_side);
            let factor = width / image.width() as usize;
            let mut sum = 0.0;
            for (x, y, pixel) in image.enumerate_pixels() {
                let center = |at: u32| (f64::from(at) + 0.5) * factor as f64 - 0.5;
                let at = |c: usize| {
                    let own = shade(center(x), center(y), c as f64);
                    own + chroma_cell.map_or(0.0, |cell| {
                        // The chroma of the cell, and the luma of the pixel.
                        let first = [x, y].map(|at| at as usize * factor);
                        let of_cell = |c: usize| cell_mean(&pixels, size, first, cell.map(|side| side * factor), c);
                        let luma = |rgb: [f64; 3]| 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
                        let mean = [0, 1, 2].map(of_cell);
                        let here = [0.0, 1.0, 2.0].map(|c| shade(center(x), center(y), c));
                        mean[c] - luma(mean) + luma(here) - own
                    })
                };
                for c in 0..3 {
                    let expected = match channels {
                        1 => at(0),
                        // Stored inverted.
                        4 => at(c) * at(3) / 255.0,
                        _ => at(c),
                    };
                    sum += (f64::from(pixel.0[c]) - expected).abs();
                }
            }
            let mean = sum / (image.len() as f64);
            // Quantization, and chroma of half of the columns or rows.
            prop_assert!(mean < 4.0, "{} levels at 1/{}", mean, factor);
        }
    }
}

#[test]
fn what_the_decoder_warns_about_is_read_as_pillow_does() {
    let whole = photo(200, 120);
    let pixels = decoded(&whole, None);
    // Superfluous bytes, and a version and a transform that the standards do not have, change nothing.
    let mut version = whole.clone();
    version[11] = 7;
    let mut stray = whole.clone();
    stray.splice(20..20, [0, 1, 2]);
    let end = stray.len() - 2;
    stray.splice(end..end, [1, 2, 3]);
    let mut adobe = whole.clone();
    adobe.splice(2..2, *b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0\x09");
    for bytes in [version, stray, adobe] {
        assert_eq!(size(&bytes), Ok((200, 120)));
        assert_eq!(decoded(&bytes, None), pixels);
    }
    // Half of the compressed data, and the end of the image: the upper half is there.
    let half = whole.len() * 3 / 5;
    let cut = [&whole[..half], segments::END].concat();
    let image = decoded(&cut, None);
    assert_eq!(
        image.rows().next().unwrap().collect::<Vec<_>>(),
        pixels.rows().next().unwrap().collect::<Vec<_>>()
    );
    assert_ne!(image, pixels);
}

#[test]
fn too_many_scans_are_refused() {
    let mut layout = layout((16, 16), SAMPLINGS[0], 1);
    layout.progressive = true;
    layout.scans = vec![vec![0, 1, 2]; 101];
    let error = decode_image(Path::new("x.jpg"), &layout.file(), None).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("more than 100 scans"), "{message}");
}

#[test]
fn profiles_in_several_parts_are_joined_and_incomplete_ones_ignored() {
    let part = |number: u8, count: u8, data: &[u8]| {
        let data = [&b"ICC_PROFILE\0"[..], &[number, count], data].concat();
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&[0xff, 0xe2][..], &length, &data].concat()
    };
    let file = |parts: &[Vec<u8>]| {
        let mut bytes = photo(16, 16);
        bytes.splice(2..2, parts.concat());
        bytes
    };
    let (first, second) = (part(1, 2, b"one"), part(2, 2, b"two"));
    let profile = |parts: &[Vec<u8>]| segments::color_profile(&file(parts));
    assert_eq!(
        profile(&[second.clone(), first.clone()]),
        Some(b"onetwo".to_vec())
    );
    assert_eq!(profile(&[first.clone(), first.clone()]), None);
    assert_eq!(profile(&[first]), None);
    assert_eq!(profile(&[]), None);
}
