//! A split: images with labels, behind one seam for every dataset.

use std::sync::Arc;

use burn_dataset::Dataset;
use image::RgbImage;

use super::DataError;

/// Where the images of a split come from: files, or memory.
pub trait Images: Send + Sync {
    /// Decodes image `index` to 8 bit RGB; called from worker threads.
    ///
    /// # Errors
    /// The file can no longer be read or decoded.
    fn image(&self, index: usize) -> Result<RgbImage, DataError>;

    /// What image `index` is called: its path below the dataset's root, or a name that tells it
    /// apart where there is no file.
    fn name(&self, index: usize) -> String;
}

/// The training or the test images of a dataset, with their labels.
#[derive(Clone)]
pub struct Split {
    name: &'static str,
    class_names: Vec<String>,
    labels: Vec<usize>,
    images: Arc<dyn Images>,
}

/// Both splits of a dataset; no class is in both.
#[derive(Debug, Clone)]
pub struct Splits {
    /// The images that train.
    pub train: Split,
    /// The images of unseen classes that test.
    pub test: Split,
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
        }
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

    /// Decodes image `index`.
    ///
    /// # Errors
    /// The file can no longer be read or decoded.
    ///
    /// # Panics
    /// When `index` is not below the number of images.
    pub fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        self.images.image(index)
    }

    /// What image `index` is called: its path below the dataset's root where it is a file.
    pub fn image_name(&self, index: usize) -> String {
        self.images.name(index)
    }

    /// Refuses a split that cannot be compared with itself: fewer than two classes, or a class with
    /// fewer than two images.
    pub(super) fn check(&self) -> Result<(), DataError> {
        if self.class_names.len() < 2 {
            return Err(DataError::TooFewClasses {
                what: format!("the {} split", self.name),
                found: self.class_names.len(),
                needed: 2,
            });
        }
        match self
            .class_sizes()
            .iter()
            .zip(&self.class_names)
            .find(|(size, _)| **size < 2)
        {
            Some((&found, class)) => Err(DataError::TooFewImages {
                class: class.clone(),
                split: self.name,
                found,
            }),
            None => Ok(()),
        }
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
