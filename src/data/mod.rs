//! From a configured dataset to batches on the device.
//!
//! [`open`] gives two [`Split`]s of images with labels; a [`TrainLoader`] walks the training split
//! in P×K batches ([`PairSampler`]) of randomly transformed images ([`Transform`]), a
//! [`SplitLoader`] walks a split in order. What a user can get wrong is a [`DataError`].

mod augment;
mod batches;
pub mod config;
pub(crate) mod datasets;
mod error;
mod guarded;
mod image_cache;
pub(crate) mod image_file;
mod loader;
mod loader_errors;
pub(crate) mod parallel;
mod prefetch;
pub(crate) mod random;
mod resize;
mod sampler;
mod split;
pub mod survey;
#[cfg(test)]
mod tests;
mod transform;

use std::path::PathBuf;

pub use batches::ImageBatch;
pub use datasets::image_set::{ImageSelection, ImageSet, NO_CLASS};
pub use error::DataError;
pub use image_file::{check_image_file, read_image_file, read_image_file_for};
pub use loader::{EpochSchedule, SplitLoader, TrainLoader};
pub use loader_errors::LoaderErrors;
pub(crate) use parallel::in_parallel;
pub use parallel::worker_count;
pub use sampler::{Coverage, PairSampler};
pub use split::{Images, LabelledImage, Split, Splits};
pub use transform::Transform;

use crate::cancellation::CancellationToken;
use crate::data::config::{BrokenImages, DataConfig, SingleImageClasses};
use crate::progress::ProgressObserver;
use image_cache::{CacheSpec, ImageCache};
use resize::ResizeSpec;

/// Opens the configured dataset: finds the images of both splits, refuses what could not be trained
/// on or measured before any time is spent, and makes or opens the caches if they are wanted.
/// Progress of the cache is reported to `progress`.
///
/// # Errors
/// The first mistake found in the configuration's dataset keys, the folders or the files.
pub fn open(
    config: &DataConfig,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<Splits, DataError> {
    let splits = datasets::open(config, cancellation)?;
    let single_images = datasets::single_image_classes(&config.source);
    splits
        .train
        .check(single_images == SingleImageClasses::Repeat)?;
    splits.test.check(false)?;
    Ok(Splits {
        train: cached(
            splits.train,
            &transform.train_resizes(),
            config,
            transform,
            cancellation,
            progress,
        )?,
        test: cached(
            splits.test,
            &[transform.eval_resize()],
            config,
            transform,
            cancellation,
            progress,
        )?,
        warnings: splits.warnings,
    })
}

/// Opens the test split alone, with what is odd about the dataset: a finished run is measured without
/// its training images.
///
/// # Errors
/// As [`open`], for the test split.
pub fn open_test(
    config: &DataConfig,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<(Split, Vec<DataError>), DataError> {
    let (test, warnings) = datasets::open_test(config, cancellation)?;
    test.check(false)?;
    let resizes = [transform.eval_resize()];
    Ok((
        cached(test, &resizes, config, transform, cancellation, progress)?,
        warnings,
    ))
}

/// The split with its cache, if the configuration wants one.
fn cached(
    split: Split,
    resizes: &[ResizeSpec],
    config: &DataConfig,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<Split, DataError> {
    if !config.loading.cache {
        return Ok(split);
    }
    let folder: PathBuf = match &config.loading.cache_dir {
        Some(folder) => folder.clone(),
        None => image_cache::default_folder()?,
    };
    let cache = ImageCache::open(
        &split,
        CacheSpec {
            folder: &folder,
            resizes,
            min_side: transform.min_side(resizes),
            skip_broken: config.loading.broken_images == BrokenImages::Skip,
            workers: worker_count(config.loading.workers),
            cancellation,
            progress,
        },
    )?;
    Ok(split.with_cache(cache))
}
