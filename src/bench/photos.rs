//! Synthetic photographs for timings without a dataset: shades with grain, in files as large as those
//! of real photographs.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ImageResult, Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cancellation::Cancelled;
use crate::data::{in_parallel_until, worker_count};
use crate::progress::{Monitor, Unit};

/// Number of classes.
const CLASSES: usize = 20;
/// Width and height in pixels, those of many photographs in CUB-200-2011.
const SIZE: (u32, u32) = (500, 375);
/// Pixels per drawn shade, in each direction.
const COARSENESS: u32 = 8;
/// Share of the grain in a pixel's value.
const GRAIN: f32 = 0.12;
/// JPEG quality.
const QUALITY: u8 = 90;

/// Writes `count` JPEGs to `folder/train` and a few more to `folder/test`, as a dataset of type
/// `folder`. The inner result is the error of a file that cannot be written.
///
/// # Errors
/// If a stop was requested.
pub(super) fn draw(
    folder: &Path,
    count: usize,
    monitor: Monitor<'_>,
) -> Result<ImageResult<()>, Cancelled> {
    let test = (0..2 * 2).map(|i| ("test", i, i / 2));
    let train = (0..count).map(|i| ("train", i, i % CLASSES));
    let all: Vec<_> = train.chain(test).collect();
    let task = monitor.task("generating images", Some(all.len()), Unit::Images);
    let written = in_parallel_until(&task, worker_count(0), all.len(), |i| {
        let (subset, number, class) = all[i];
        let class = folder.join(subset).join(format!("{subset}-{class:02}"));
        std::fs::create_dir_all(&class)?;
        let file = std::fs::File::create(class.join(format!("{number:05}.jpg")))?;
        JpegEncoder::new_with_quality(file, QUALITY).encode_image(&photo(i as u64))
    })?;
    task.finish();
    Ok(written.into_iter().collect())
}

fn photo(seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (width, height) = SIZE;
    let coarse = RgbImage::from_fn(width / COARSENESS, height / COARSENESS, |_, _| {
        Rgb(rng.random())
    });
    let mut photo = resize(&coarse, width, height, FilterType::CatmullRom);
    for value in photo.iter_mut() {
        let grain = f32::from(rng.random::<u8>());
        *value = (f32::from(*value) * (1.0 - GRAIN) + grain * GRAIN) as u8;
    }
    photo
}
