//! A dataset whose images were found, before they are cached.

use std::path::PathBuf;

use super::config::DataConfig;
use super::error::DataError;
use super::image_cache::{CacheComparison, CacheOptions};
use super::resize::ResizeSpec;
use super::split::{ClassDivision, Split, Splits, ValidationSource};
use super::transform::Transform;
use super::{add_cache, cache_folder, with_cache_options};
use crate::cancellation::CancellationToken;
use crate::progress::ProgressObserver;

/// The splits of a dataset, before their images are cached.
pub struct OpenedDataset {
    /// `train` has all training classes. `validation` is the split that a list names, if it does.
    splits: Splits,
    /// The division of the training classes, if some are held out for validation. Then no list names a validation
    /// split.
    division: Option<ClassDivision>,
}

/// The image caches that have to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCaches {
    /// Their folder. It need not exist.
    pub folder: PathBuf,
    /// Their size in bytes. It is an estimate if the sizes of cached images depend on the aspect ratio.
    pub bytes: u64,
}

impl OpenedDataset {
    pub(super) fn new(splits: Splits, division: Option<ClassDivision>) -> Self {
        Self { splits, division }
    }

    /// Returns the splits without caches.
    pub fn uncached(&self) -> Splits {
        let Some(division) = &self.division else {
            return self.splits.clone();
        };
        let (train, validation) = division.apply(&self.splits.train);
        Splits {
            train,
            validation: Some(validation),
            validation_source: Some(ValidationSource::HeldOut),
            ..self.splits.clone()
        }
    }

    /// Returns the length of a row of features; `None` for images.
    pub fn feature_dim(&self) -> Option<usize> {
        self.splits.train.feature_dim()
    }

    /// Returns the caches that [`cached`](Self::cached) would build, or `None` if no cache is configured or all
    /// exist.
    ///
    /// # Errors
    /// If a file cannot be read, or the work is cancelled.
    pub fn missing_caches(
        &self,
        config: &DataConfig,
        transform: &Transform,
        cancellation: &CancellationToken,
        progress: &dyn ProgressObserver,
    ) -> Result<Option<MissingCaches>, DataError> {
        if !config.loading.cache {
            return Ok(None);
        }
        let mut bytes = 0;
        for (split, resizes) in self.cached_splits(transform) {
            let missing = |options: CacheOptions<'_>| split.missing_cache_bytes(options);
            bytes +=
                with_cache_options(&resizes, config, transform, cancellation, progress, missing)?;
        }
        let folder = cache_folder(config)?;
        Ok((bytes > 0).then_some(MissingCaches { folder, bytes }))
    }

    /// Compares the image caches of this configuration with the images, whether or not caches are
    /// configured. No cache is built.
    ///
    /// # Errors
    /// If a cache or a file cannot be read, or the work is cancelled.
    pub fn compare_caches(
        &self,
        config: &DataConfig,
        transform: &Transform,
        cancellation: &CancellationToken,
        progress: &dyn ProgressObserver,
    ) -> Result<Vec<CacheComparison>, DataError> {
        let splits = self.cached_splits(transform).into_iter();
        let compared = splits.map(|(split, resizes)| {
            let compare = |options: CacheOptions<'_>| split.compare_cache(options);
            with_cache_options(&resizes, config, transform, cancellation, progress, compare)
        });
        compared.collect()
    }

    /// Returns the splits that have a cache, with the resizes in it. That of `train` has all training classes.
    fn cached_splits(&self, transform: &Transform) -> Vec<(Split, Vec<ResizeSpec>)> {
        let Splits {
            validation, test, ..
        } = self.uncached();
        let train = (self.splits.train.clone(), transform.train_resizes());
        let others = validation.into_iter().chain([test]);
        let others = others.map(|split| (split, vec![transform.eval_resize()]));
        std::iter::once(train).chain(others).collect()
    }

    /// Opens or builds the configured caches and returns the splits with them.
    ///
    /// # Errors
    /// If an image cannot be read, a cache cannot be written, or the work is cancelled.
    pub fn cached(
        self,
        config: &DataConfig,
        transform: &Transform,
        cancellation: &CancellationToken,
        progress: &dyn ProgressObserver,
    ) -> Result<Splits, DataError> {
        let with_cache = |split: Split, resizes: &[ResizeSpec]| {
            add_cache(split, resizes, config, transform, cancellation, progress)
        };
        let Self { splits, division } = self;
        // The cache holds all training classes, so that it serves every fold and seed.
        let train = with_cache(splits.train, &transform.train_resizes())?;
        let eval_resizes = [transform.eval_resize()];
        let (train, validation, validation_source) = match division {
            None => (train, splits.validation, splits.validation_source),
            Some(division) => {
                let (train, validation) = division.apply(&train);
                (train, Some(validation), Some(ValidationSource::HeldOut))
            }
        };
        let validation = validation.map(|validation| with_cache(validation, &eval_resizes));
        Ok(Splits {
            train,
            validation: validation.transpose()?,
            validation_source,
            test: with_cache(splits.test, &eval_resizes)?,
            warnings: splits.warnings,
        })
    }
}
