//! A split: images with labels, behind one seam for every dataset.

use std::path::Path;
use std::sync::Arc;

use burn_dataset::Dataset;
use image::RgbImage;
use sha2::{Digest, Sha256};

use super::DataError;
use super::image_cache::ImageCache;
use super::resize::{Pixels, ResizeSpec};
use crate::evaluation::Role;

/// Where the images of a split come from: files, or memory.
pub trait Images: Send + Sync {
    /// Decodes image `index` to 8 bit RGB; called from worker threads. Where a shorter side of
    /// `min_side` pixels is enough, the image may come in a reduced size.
    ///
    /// # Errors
    /// The file can no longer be read or decoded.
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, DataError>;

    /// What image `index` is called: its path below the dataset's root, or a name that tells it
    /// apart where there is no file.
    fn name(&self, index: usize) -> String;

    /// The file of image `index`, if it has one of its own.
    fn path(&self, _index: usize) -> Option<&Path> {
        None
    }
}

/// The training or the test images of a dataset, with their labels.
#[derive(Clone)]
pub struct Split {
    name: &'static str,
    class_names: Vec<String>,
    labels: Vec<usize>,
    images: Arc<dyn Images>,
    /// What each image is in the measure; none where all are queries and gallery.
    roles: Option<Arc<[Role]>>,
    cache: Option<Arc<ImageCache>>,
    left_out: Vec<DataError>,
}

/// Both splits of a dataset; no class is in both.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The images that train.
    pub train: Split,
    /// The images of unseen classes that test.
    pub test: Split,
    /// What is odd about the dataset and no reason to refuse it, such as a benchmark of other images
    /// than the published ones.
    pub warnings: Vec<DataError>,
}

/// An image of a [`Split`] with its label.
#[derive(Debug, Clone)]
pub struct LabelledImage {
    /// The decoded image, or why it could not be decoded.
    pub image: Result<RgbImage, DataError>,
    /// The class, an index into [`Split::class_names`].
    pub label: usize,
}

impl Split {
    /// The split `name` (`train` or `test`) whose image i has label `labels[i]`, an index into
    /// `class_names`.
    ///
    /// # Panics
    /// When a label has no class name.
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
            left_out: Vec::new(),
        }
    }

    /// The same with what each image is in the measure.
    ///
    /// # Panics
    /// When there are not as many roles as images.
    pub fn with_roles(mut self, roles: Vec<Role>) -> Self {
        assert_eq!(roles.len(), self.labels.len(), "one role for each image");
        self.roles = roles
            .iter()
            .any(|&role| role != Role::Both)
            .then(|| roles.into());
        self
    }

    /// The same with the mistakes for which images of it were left out.
    pub(super) fn with_left_out(mut self, left_out: Vec<DataError>) -> Self {
        self.left_out = left_out;
        self
    }

    /// The same with the resizes of its images in a cache.
    pub(super) fn with_cache(mut self, cache: ImageCache) -> Self {
        self.cache = Some(Arc::new(cache));
        self
    }

    /// `train` or `test`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The classes' names, by label.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The images' labels.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Number of images of each class, by label.
    pub fn class_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.class_names.len()];
        for &label in &self.labels {
            sizes[label] += 1;
        }
        sizes
    }

    /// What each image is in the measure; none where all are queries and gallery.
    pub fn roles(&self) -> Option<&[Role]> {
        self.roles.as_deref()
    }

    /// The mistakes for which images of the dataset were left out (`data.broken_images = "skip"`).
    pub fn left_out(&self) -> &[DataError] {
        &self.left_out
    }

    /// Decodes image `index`, whole.
    ///
    /// # Errors
    /// The file can no longer be read or decoded.
    ///
    /// # Panics
    /// When `index` is not below the number of images.
    pub fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.images.image(index, None)
    }

    /// A resize of image `index`, from the cache if there is one, else decoded with a shorter side of
    /// at least `min_side` pixels.
    ///
    /// # Errors
    /// The file can no longer be read or decoded.
    pub(super) fn resized(
        &self,
        index: usize,
        resize: ResizeSpec,
        min_side: Option<u32>,
    ) -> Result<Pixels<'_>, DataError> {
        let cache = self.cache.as_ref();
        match cache.and_then(|cache| cache.get(index, resize)) {
            Some(pixels) => Ok(pixels),
            None => Ok(resize.apply(&self.decode(index, min_side)?)),
        }
    }

    /// Decodes image `index` with a shorter side of at least `min_side` pixels.
    pub(super) fn decode(
        &self,
        index: usize,
        min_side: Option<u32>,
    ) -> Result<RgbImage, DataError> {
        self.images.image(index, min_side)
    }

    /// The file of image `index`, if it has one of its own.
    pub(super) fn path(&self, index: usize) -> Option<&Path> {
        self.images.path(index)
    }

    /// What image `index` is called: its path below the dataset's root where it is a file.
    pub fn image_name(&self, index: usize) -> String {
        self.images.name(index)
    }

    /// A hash, SHA-256 in hexadecimal, of the names and lengths of the images' files; none for images
    /// in memory, and where a file is not there any more.
    pub fn files_digest(&self) -> Option<String> {
        let mut hash = Sha256::new();
        for image in 0..self.labels.len() {
            let length = self.path(image)?.metadata().ok()?.len();
            hash.update(format!("{:?} {length}\n", self.image_name(image)));
        }
        let digits = hash.finalize();
        Some(digits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Refuses a split that cannot be compared with itself: fewer than two classes, a class of one
    /// image (unless it may repeat, or is in the gallery alone), or no query that could find
    /// anything.
    pub(super) fn check(&self, single_images: bool) -> Result<(), DataError> {
        if self.class_names.len() < 2 {
            return Err(DataError::TooFewClasses {
                what: format!("the {} split", self.name),
                found: self.class_names.len(),
                needed: 2,
            });
        }
        let sizes = self.class_sizes();
        let enough = if single_images || self.roles.is_some() {
            1
        } else {
            2
        };
        if let Some(class) = sizes.iter().position(|&size| size < enough) {
            return Err(DataError::TooFewImages {
                class: self.class_names[class].clone(),
                split: self.name,
                found: sizes[class],
            });
        }
        match self.roles() {
            Some(roles) if !self.has_answerable_query(roles) => Err(DataError::NoQuery),
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
