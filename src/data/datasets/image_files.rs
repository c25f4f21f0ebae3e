//! The image files of an index as the images of a split.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::error::DatasetError;
use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use crate::data::bounding_box::BoundingBox;
use crate::data::config::BrokenImages;
use crate::data::image_file::{
    ImageError, check_image_file, read_image_file, read_image_file_reduced, upright_size,
};
use crate::data::images::Images;
use crate::data::parallel::{Cancelled, in_parallel_until};
use crate::data::split::Split;
use crate::progress::{Monitor, Unit};

struct ImageFiles {
    files: Vec<Entry>,
}

impl Images for ImageFiles {
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        let file = &self.files[index];
        file.decode(min_side).map_err(|error| match &file.line {
            None => error,
            Some(line) => ImageError::Listed {
                line: line.clone(),
                source: Box::new(error),
            },
        })
    }

    fn size(&self, index: usize) -> Result<(u32, u32), ImageError> {
        self.files[index].check()
    }

    fn name(&self, index: usize) -> String {
        self.files[index].name.clone()
    }

    fn path(&self, index: usize) -> Option<&Path> {
        Some(&self.files[index].path)
    }
}

impl Entry {
    /// Decodes the part of the image that is used, upright.
    ///
    /// A whole image may be reduced to a shorter side of at least `min_side` pixels. An image with a bounding box is
    /// decoded in full, since the edges of the box are whole pixels of the full size only.
    ///
    /// # Errors
    /// If the file cannot be read or decoded, or the bounding box is not inside the image.
    pub(crate) fn decode(&self, min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        match (self.bounding_box, min_side) {
            (Some(bounding_box), _) => {
                let image = read_image_file(&self.path)?;
                self.check_inside(bounding_box, image.dimensions())?;
                Ok(bounding_box.crop(&image))
            }
            (None, Some(min_side)) => read_image_file_reduced(&self.path, min_side),
            (None, None) => read_image_file(&self.path),
        }
    }

    /// Checks the header and the end of the file, and that the image contains the bounding box. Returns width and
    /// height in pixels of the box, or of the image as stored if it has no box.
    ///
    /// # Errors
    /// If the file cannot be read, is no image, ends before its image, or the bounding box is not inside.
    pub(crate) fn check(&self) -> Result<(u32, u32), ImageError> {
        let stored = check_image_file(&self.path)?;
        let Some(bounding_box) = self.bounding_box else {
            return Ok(stored);
        };
        // The orientation matters only if the box fits one way and not the other.
        let turned = (stored.1, stored.0);
        if !(bounding_box.is_inside(stored) && bounding_box.is_inside(turned)) {
            self.check_inside(bounding_box, upright_size(&self.path)?)?;
        }
        Ok(bounding_box.size())
    }

    /// Checks that an upright image of this width and height contains the bounding box.
    ///
    /// # Errors
    /// [`ImageError::BoxOutside`].
    pub(crate) fn check_inside(
        &self,
        bounding_box: BoundingBox,
        (width, height): (u32, u32),
    ) -> Result<(), ImageError> {
        match bounding_box.is_inside((width, height)) {
            true => Ok(()),
            false => Err(ImageError::BoxOutside {
                path: self.path.clone(),
                bounding_box,
                width,
                height,
            }),
        }
    }
}

/// Checks the header and the end of every image of the classes.
///
/// Images that cannot be read are an error, or are removed together with classes that become empty.
/// Returns the errors of removed images.
pub(super) fn exclude_broken(
    classes: &mut Vec<ClassEntries>,
    broken: BrokenImages,
    workers: usize,
    monitor: Monitor<'_>,
) -> Result<Vec<DatasetError>, DatasetError> {
    let images: Vec<&Entry> = classes.iter().flat_map(|class| &class.images).collect();
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let checks = check_files(&images, workers, monitor)?;
    let readable: Vec<bool> = checks.iter().map(Result::is_ok).collect();
    let skipped: Vec<DatasetError> = checks.into_iter().filter_map(Result::err).collect();
    if let (BrokenImages::Fail, Some(first)) = (broken, skipped.first()) {
        return Err(first.clone().and_more(skipped.len() - 1));
    }
    let mut readable = readable.into_iter();
    for class in classes.iter_mut() {
        class.images.retain(|_| readable.next().unwrap_or(true));
    }
    classes.retain(|class| !class.images.is_empty());
    Ok(skipped)
}

/// Checks the header and the end of every image. Returns one result per image.
pub(super) fn check_files(
    images: &[&Entry],
    workers: usize,
    monitor: Monitor<'_>,
) -> Result<Vec<Result<(), DatasetError>>, Cancelled> {
    let task = monitor.task("reading images", Some(images.len()), Unit::Images);
    let checks = in_parallel_until(&task, workers, images.len(), |i| {
        let check = images[i].check();
        check.map(drop).map_err(|error| images[i].locate(error))
    })?;
    task.finish();
    Ok(checks)
}

/// Returns the files as images of a split.
pub(super) fn file_images(files: Vec<Entry>) -> Arc<dyn Images> {
    Arc::new(ImageFiles { files })
}

/// Returns the split of a subset.
pub(in crate::data) fn split(index: &DatasetIndex, subset: Subset) -> Split {
    let (mut names, mut labels, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for (label, class) in index.classes(subset).iter().enumerate() {
        names.push(class.name.clone());
        labels.extend(vec![label; class.images.len()]);
        files.extend(class.images.iter().cloned());
    }
    let roles = files.iter().map(|image| image.role).collect();
    let split = Split::new(subset.name(), names, labels, file_images(files));
    match subset {
        Subset::Train => split,
        Subset::Validation | Subset::Test => split.with_roles(roles),
    }
}
