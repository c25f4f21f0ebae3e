//! From a configured dataset to batches on the device.
//!
//! [`open`] returns the [`Splits`] of images with labels. A [`TrainLoader`] loads the training split in
//! P×K batches ([`PairSampler`]) of randomly transformed images ([`Transform`]). A [`SplitLoader`]
//! loads a split in order. Errors are a [`DataError`].
//!
//! Imports go one way, each module importing only from lines below its own:
//!
//! ```text
//! error
//! survey, loader, opened
//! uploaded_batches
//! datasets, batches, sampler
//! split, pixels
//! transform
//! image_cache, augment
//! prefetch, item_ahead, images
//! image_file, resize, config
//! bounding_box, list_line, parallel, random, upload
//! ```

mod augment;
mod batches;
mod bounding_box;
pub mod config;
mod datasets;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod image_cache;
pub(crate) mod image_file;
mod images;
mod item_ahead;
mod list_line;
mod loader;
#[cfg(test)]
mod manifest_tests;
mod opened;
mod parallel;
mod pixels;
mod prefetch;
pub(crate) mod random;
mod resize;
mod sampler;
mod split;
pub mod survey;
#[cfg(test)]
mod tests;
mod transform;
mod upload;
mod uploaded_batches;

use std::path::PathBuf;
use std::time::Instant;

pub use batches::ImageBatch;
pub use bounding_box::BoundingBox;
pub use datasets::{
    DatasetError, FeatureError, ImageSelection, ImageSet, named_image, named_image_file,
};
pub use error::DataError;
pub use image_cache::{CacheComparison, CacheError, CacheState};
pub use image_file::{ImageError, check_image_file, read_image_file, read_image_file_reduced};
pub use images::Images;
pub use list_line::ListLine;
pub use loader::{EpochSchedule, LoaderError, LoaderErrors, SplitLoader, TrainLoader};
pub use opened::{MissingCaches, OpenedDataset};
pub(crate) use parallel::in_parallel_until;
pub use parallel::worker_count;
pub use sampler::{Coverage, PairSampler};
pub use split::{
    FeatureMoments, HoldOut, LabelledImage, Split, SplitError, Splits, ValidationSource,
};
pub use transform::Transform;
pub use upload::{ImageUpload, UploadMode};

pub use crate::embedding_file::NO_CLASS;

use crate::cancellation::CancellationToken;
use crate::data::config::{BrokenImages, DataConfig, SingleImageClasses};
use crate::progress::{Monitor, ProgressObserver};
use image_cache::CacheOptions;
use resize::ResizeSpec;
pub(crate) use resize::with_longer_side;
use survey::{CheckReport, DatasetSurvey};

/// Opens the configured dataset: finds the images of both splits, checks them as far as possible
/// without decoding, and opens or builds the caches if they are configured. Reports its progress to
/// `progress`, and ends within a second if `cancellation` is requested.
///
/// With `hold_out`, there is a validation split: the one that a list names, or some of the training classes, as
/// `config.hold_out` says. Without it, listed validation images are not used, with a warning.
///
/// # Errors
/// If the dataset, a folder or a file is invalid, too few classes would train or validate, `config.hold_out`
/// contradicts a listed validation split, a cache cannot be written, or the work is cancelled.
pub fn open(
    config: &DataConfig,
    hold_out: Option<HoldOut>,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<Splits, DataError> {
    open_uncached(config, hold_out, cancellation, progress)?.cached(
        config,
        transform,
        cancellation,
        progress,
    )
}

/// As [`open`], but no cache is opened or built yet.
///
/// # Errors
/// If the dataset, a folder or a file is invalid, too few classes would train or validate, or the work is
/// cancelled.
pub fn open_uncached(
    config: &DataConfig,
    hold_out: Option<HoldOut>,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<OpenedDataset, DataError> {
    let monitor = Monitor::new(cancellation, progress);
    let splits = datasets::open(config, hold_out.is_some(), monitor)?;
    let single_images = datasets::single_image_classes(&config.source);
    splits
        .train
        .check(single_images == SingleImageClasses::Repeat)?;
    splits.test.check(false)?;
    // Too few classes are reported before the images are cached, which may take minutes.
    let division = match (hold_out, &splits.validation) {
        (None, _) => None,
        (Some(hold_out), None) => {
            Some(hold_out.divide(&splits.train.class_sizes(), &config.hold_out)?)
        }
        (Some(_), Some(validation)) => {
            config.hold_out.check_unused()?;
            validation.check(false)?;
            None
        }
    };
    Ok(OpenedDataset::new(splits, division))
}

/// Opens the test split alone and returns it with warnings about the dataset. A finished run is
/// evaluated without its training images.
///
/// # Errors
/// As [`open`], for the test split.
pub fn open_test(
    config: &DataConfig,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
) -> Result<(Split, Vec<String>), DataError> {
    let (test, warnings) = datasets::open_test(config, Monitor::new(cancellation, progress))?;
    test.check(false)?;
    let resizes = [transform.eval_resize()];
    Ok((
        add_cache(test, &resizes, config, transform, cancellation, progress)?,
        warnings,
    ))
}

/// Checks everything about the configured dataset and returns the problems in one report, also if it cannot
/// be opened. Classes are held out as `hold_out` says. With `caches`, the image caches for that transform are
/// compared with the images.
pub fn check(
    config: &DataConfig,
    hold_out: Option<HoldOut>,
    caches: Option<&Transform>,
    monitor: Monitor<'_>,
) -> CheckReport {
    let start = Instant::now();
    let mut report = match DatasetSurvey::open(config, monitor) {
        Ok(survey) => survey.with_hold_out(hold_out).check(monitor),
        Err(error) => CheckReport::unopened(config, error),
    };
    if let Some(transform) = caches
        && !report.interrupted
    {
        let (cancellation, progress) = (monitor.cancellation(), monitor.observer());
        let compared = open_uncached(config, hold_out, &cancellation, progress)
            .and_then(|opened| opened.compare_caches(config, transform, &cancellation, progress));
        report.add_caches(compared.map_err(|error| match error {
            DataError::Cache(error) => error,
            DataError::Cancelled => CacheError::Cancelled,
            _ => CacheError::NotCompared,
        }));
    }
    report.seconds = start.elapsed().as_secs_f64();
    report
}

/// Returns the split with its cache, if one is configured.
fn add_cache(
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
    let open = |options: CacheOptions<'_>| split.with_cache(options);
    with_cache_options(resizes, config, transform, cancellation, progress, open)
}

/// Returns the folder of the image caches.
fn cache_folder(config: &DataConfig) -> Result<PathBuf, DataError> {
    Ok(match &config.loading.cache_dir {
        Some(folder) => folder.clone(),
        None => image_cache::default_folder()?,
    })
}

/// Calls `work` with the options of a split's cache.
fn with_cache_options<T>(
    resizes: &[ResizeSpec],
    config: &DataConfig,
    transform: &Transform,
    cancellation: &CancellationToken,
    progress: &dyn ProgressObserver,
    work: impl FnOnce(CacheOptions<'_>) -> Result<T, CacheError>,
) -> Result<T, DataError> {
    Ok(work(CacheOptions {
        folder: &cache_folder(config)?,
        resizes,
        min_side: transform.min_side(resizes),
        skip_broken: config.loading.broken_images == BrokenImages::Skip,
        workers: worker_count(config.loading.workers),
        cancellation,
        progress,
    })?)
}
