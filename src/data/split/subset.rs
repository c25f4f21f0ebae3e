//! Some classes of a split as a split of their own.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::Split;
use crate::data::image_cache::ImageCache;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::resize::{Pixels, ResizeSpec};

/// Some images of another source, in its order.
struct ImageSubset {
    images: Arc<dyn Images>,
    /// The index of each image in `images`.
    members: Arc<[usize]>,
}

impl Images for ImageSubset {
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        self.images.image(self.members[index], min_side)
    }

    fn size(&self, index: usize) -> Result<(u32, u32), ImageError> {
        self.images.size(self.members[index])
    }

    fn name(&self, index: usize) -> String {
        self.images.name(self.members[index])
    }

    fn features(&self, index: usize) -> Option<&[f32]> {
        self.images.features(self.members[index])
    }

    fn path(&self, index: usize) -> Option<&Path> {
        self.images.path(self.members[index])
    }
}

/// The cached images of a split: all images of a cache, or some.
#[derive(Clone)]
pub(super) struct CachedImages {
    cache: Arc<ImageCache>,
    /// The index in the cache of each image of the split. `None` if they are the same.
    members: Option<Arc<[usize]>>,
}

impl CachedImages {
    /// Returns all images of `cache`.
    pub(super) fn all(cache: ImageCache) -> Self {
        Self {
            cache: Arc::new(cache),
            members: None,
        }
    }

    /// Returns image `index` with this resize if the cache contains it.
    pub(super) fn get(&self, index: usize, resize: ResizeSpec) -> Option<Pixels> {
        let index = self
            .members
            .as_ref()
            .map_or(index, |members| members[index]);
        self.cache.get(index, resize)
    }

    fn subset(&self, members: &Arc<[usize]>) -> Self {
        let members = match &self.members {
            None => Arc::clone(members),
            Some(own) => members.iter().map(|&member| own[member]).collect(),
        };
        Self {
            cache: Arc::clone(&self.cache),
            members: Some(members),
        }
    }
}

impl Split {
    /// Returns the images of `classes`, which are ascending labels of this split, as the split `name`.
    ///
    /// Labels are renumbered. Names of the classes, and the order of classes and images, do not change.
    /// All images are both query and gallery. A cache of this split is shared.
    ///
    /// # Panics
    /// If a class is not a label of this split.
    pub(super) fn subset(&self, name: &'static str, classes: &[usize]) -> Self {
        let mut label_of = vec![None; self.class_names.len()];
        for (label, &class) in classes.iter().enumerate() {
            label_of[class] = Some(label);
        }
        let (members, labels): (Vec<usize>, Vec<usize>) = self
            .labels
            .iter()
            .enumerate()
            .filter_map(|(image, &class)| Some((image, label_of[class]?)))
            .unzip();
        let members: Arc<[usize]> = members.into();
        let class_names = classes
            .iter()
            .map(|&class| self.class_names[class].clone())
            .collect();
        let images = Arc::new(ImageSubset {
            images: Arc::clone(&self.images),
            members: Arc::clone(&members),
        });
        Self {
            cache: self.cache.as_ref().map(|cache| cache.subset(&members)),
            ..Self::new(name, class_names, labels, images)
        }
    }
}
