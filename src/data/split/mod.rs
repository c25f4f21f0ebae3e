//! A split: images or rows of features with labels, the same type for every dataset.

mod error;
mod features;
mod hold_out;
mod subset;

use std::path::Path;
use std::sync::Arc;

use burn_dataset::Dataset;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use error::SplitError;
pub(super) use error::in_prose;
pub use features::FeatureMoments;
pub(super) use hold_out::ClassDivision;
pub use hold_out::HoldOut;
use subset::CachedImages;

use super::image_cache::{
    self, CacheComparison, CacheError, CacheOptions, CacheSpec, ImageCache, missing_bytes,
};
use super::image_file::ImageError;
use super::images::Images;
use super::resize::{Pixels, ResizeSpec};
use crate::cancellation::Cancelled;
use crate::evaluation::Role;
use crate::hex::hex;
use crate::progress::{Monitor, Unit};

/// Fewest classes of a split, since images of different classes are compared.
const FEWEST_CLASSES: usize = 2;

/// The training, validation or test images of a dataset, with their labels.
#[derive(Clone)]
pub struct Split {
    name: &'static str,
    class_names: Vec<String>,
    labels: Vec<usize>,
    images: Arc<dyn Images>,
    /// The role of each image in the evaluation. `None` if all are both query and gallery.
    roles: Option<Arc<[Role]>>,
    cache: Option<CachedImages>,
    skipped: Vec<String>,
}

/// The splits of a dataset. No class is in two of them.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The training images.
    pub train: Split,
    /// The images of the classes that choose the best epoch, if there are any.
    pub validation: Option<Split>,
    /// Where the validation classes come from. `None` without a validation split.
    pub validation_source: Option<ValidationSource>,
    /// The test images, of classes that are neither in `train` nor in `validation`.
    pub test: Split,
    /// Warnings about the dataset, for example that a benchmark differs from the published one.
    pub warnings: Vec<String>,
}

/// Where the validation classes of a dataset come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationSource {
    /// They are training classes that are held out.
    HeldOut,
    /// A list names them.
    Listed,
}

impl Splits {
    /// Makes splits without validation images and warnings.
    pub(super) fn new(train: Split, test: Split) -> Self {
        Self {
            train,
            validation: None,
            validation_source: None,
            test,
            warnings: Vec::new(),
        }
    }

    /// Sets the validation images, which a list names.
    pub(super) fn with_listed_validation(self, validation: Split) -> Self {
        Self {
            validation: Some(validation),
            validation_source: Some(ValidationSource::Listed),
            ..self
        }
    }
}

/// An image of a [`Split`] with its label.
#[derive(Debug, Clone)]
pub struct LabelledImage {
    /// The decoded image, or why it could not be decoded.
    pub image: Result<RgbImage, ImageError>,
    /// The class, an index into [`Split::class_names`].
    pub label: usize,
}

impl Split {
    /// Makes the split `name` (`train`, `validation` or `test`). Image i has label `labels[i]`, an index into
    /// `class_names`.
    ///
    /// # Panics
    /// If a label has no class name.
    pub fn new(
        name: &'static str,
        class_names: Vec<String>,
        labels: Vec<usize>,
        images: Arc<dyn Images>,
    ) -> Self {
        assert!(
            labels.iter().all(|&label| label < class_names.len()),
            "every label must have a class name"
        );
        Self {
            name,
            class_names,
            labels,
            images,
            roles: None,
            cache: None,
            skipped: Vec::new(),
        }
    }

    /// Sets the role of each image in the evaluation.
    ///
    /// # Panics
    /// If the numbers of roles and images differ.
    pub fn with_roles(mut self, roles: Vec<Role>) -> Self {
        assert_eq!(roles.len(), self.labels.len(), "one role for each image");
        self.roles = roles
            .iter()
            .any(|&role| role != Role::Both)
            .then(|| roles.into());
        self
    }

    /// Sets the reasons for which images were left out.
    pub(super) fn with_skipped(mut self, skipped: Vec<String>) -> Self {
        self.skipped = skipped;
        self
    }

    /// Opens or builds the cache of the images.
    ///
    /// # Errors
    /// If an image cannot be read, the cache cannot be written, or the work is cancelled.
    pub(super) fn with_cache(mut self, options: CacheOptions<'_>) -> Result<Self, CacheError> {
        let cache = ImageCache::open(&self.cache_spec(options))?;
        self.cache = Some(CachedImages::all(cache));
        Ok(self)
    }

    /// Returns the bytes that [`with_cache`](Self::with_cache) would write; 0 if the cache exists.
    ///
    /// # Errors
    /// If a file cannot be read, or the work is cancelled.
    pub(super) fn missing_cache_bytes(&self, options: CacheOptions<'_>) -> Result<u64, CacheError> {
        missing_bytes(&self.cache_spec(options))
    }

    /// Compares the cache with the images, if there is one. No cache is built.
    ///
    /// # Errors
    /// If the cache or a file cannot be read, or the work is cancelled.
    pub(super) fn compare_cache(
        &self,
        options: CacheOptions<'_>,
    ) -> Result<CacheComparison, CacheError> {
        image_cache::compare(&self.cache_spec(options))
    }

    fn cache_spec<'a>(&'a self, options: CacheOptions<'a>) -> CacheSpec<'a> {
        CacheSpec {
            images: &self.images,
            count: self.labels.len(),
            split: self.name,
            options,
        }
    }

    /// Returns `train`, `validation` or `test`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the names of the classes, by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Returns the labels of the images.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Returns the number of images of each class, by label.
    pub fn class_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.class_names.len()];
        for &label in &self.labels {
            sizes[label] += 1;
        }
        sizes
    }

    /// Returns the role of each image in the evaluation. `None` if all are both query and gallery.
    pub fn roles(&self) -> Option<&[Role]> {
        self.roles.as_deref()
    }

    /// Returns the reasons for which images were left out (`data.broken_images = "skip"`).
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Decodes image `index` at full size.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    ///
    /// # Panics
    /// If `index` is not below the number of images.
    pub fn image(&self, index: usize) -> Result<RgbImage, ImageError> {
        self.images.image(index, None)
    }

    /// Decodes image `index`, possibly reduced to a shorter side of at least `min_side` pixels.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    ///
    /// # Panics
    /// If `index` is not below the number of images.
    pub fn reduced_image(&self, index: usize, min_side: u32) -> Result<RgbImage, ImageError> {
        self.images.image(index, Some(min_side))
    }

    /// Returns image `index` resized, from the cache if it contains the image. Otherwise the image is
    /// decoded, possibly reduced to a shorter side of at least `min_side` pixels.
    ///
    /// # Errors
    /// If the file cannot be read or decoded.
    pub(super) fn resized(
        &self,
        index: usize,
        resize: ResizeSpec,
        min_side: Option<u32>,
    ) -> Result<Pixels, ImageError> {
        let cache = self.cache.as_ref();
        match cache.and_then(|cache| cache.get(index, resize)) {
            Some(pixels) => Ok(pixels),
            None => Ok(resize.apply(&self.images.image(index, min_side)?)),
        }
    }

    /// Returns the source of the images.
    pub(super) fn images(&self) -> &dyn Images {
        &*self.images
    }

    /// Returns the file of image `index`, or `None` for an image in memory.
    pub(super) fn path(&self, index: usize) -> Option<&Path> {
        self.images.path(index)
    }

    /// Returns the name of image `index`: for a file, its path below the dataset's root, with its bounding box if it
    /// has one.
    pub fn image_name(&self, index: usize) -> String {
        self.images.name(index)
    }

    /// Returns a hash, SHA-256 in hexadecimal, of the names (with bounding boxes) and lengths of the images' files, or of
    /// the rows of features with their labels. `None` for images in memory, or if a file no longer exists. Millions of
    /// files take minutes on a network file system.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn files_digest(&self, monitor: Monitor<'_>) -> Result<Option<String>, Cancelled> {
        let count = self.labels.len();
        let task = monitor.task("reading file lengths", Some(count), Unit::Images);
        let mut hash = Sha256::new();
        for image in 0..count {
            task.advance(1)?;
            if let Some(features) = self.features(image) {
                hash.update(self.labels[image].to_le_bytes());
                features
                    .iter()
                    .for_each(|value| hash.update(value.to_le_bytes()));
                continue;
            }
            let length = |path: &Path| Some(path.metadata().ok()?.len());
            let Some(length) = self.path(image).and_then(length) else {
                task.finish();
                return Ok(None);
            };
            hash.update(format!("{:?} {length}\n", self.image_name(image)));
        }
        task.finish();
        Ok(Some(hex(&hash.finalize())))
    }

    /// Checks that images of one class and of different classes can be compared.
    ///
    /// # Errors
    /// If the split has fewer than two classes, a class of one image (unless `single_images` allows it
    /// or the split has roles), or no query with a gallery image of its class.
    pub(super) fn check(&self, single_images: bool) -> Result<(), SplitError> {
        if self.class_names.len() < FEWEST_CLASSES {
            return Err(SplitError::TooFewClasses {
                what: format!("the {} split", in_prose(self.name)),
                found: self.class_names.len(),
                needed: FEWEST_CLASSES,
            });
        }
        let sizes = self.class_sizes();
        let enough = if single_images || self.roles.is_some() {
            1
        } else {
            2
        };
        if let Some(class) = sizes.iter().position(|&size| size < enough) {
            return Err(SplitError::TooFewImages {
                class: self.class_names[class].clone(),
                split: self.name,
                found: sizes[class],
            });
        }
        match self.roles() {
            Some(roles) if !self.has_answerable_query(roles) => {
                Err(SplitError::NoQuery { split: self.name })
            }
            _ => Ok(()),
        }
    }

    fn has_answerable_query(&self, roles: &[Role]) -> bool {
        let mut gallery = vec![0; self.class_names.len()];
        for (role, &label) in roles.iter().zip(&self.labels) {
            gallery[label] += usize::from(role.is_in_gallery());
        }
        roles.iter().zip(&self.labels).any(|(role, &label)| {
            role.is_query() && gallery[label] > usize::from(role.is_in_gallery())
        })
    }
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split")
            .field("name", &self.name)
            .field("classes", &self.class_names.len())
            .field("images", &self.labels.len())
            .finish()
    }
}

impl Dataset<LabelledImage> for Split {
    fn get(&self, index: usize) -> Option<LabelledImage> {
        let label = *self.labels.get(index)?;
        Some(LabelledImage {
            image: self.image(index),
            label,
        })
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}
