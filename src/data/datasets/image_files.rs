//! The image files of an index as the images of a split.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::error::DatasetError;
use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use crate::data::config::BrokenImages;
use crate::data::image_file::{
    ImageError, check_image_file, read_image_file, read_image_file_reduced,
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
        match min_side {
            Some(min_side) => read_image_file_reduced(&file.path, min_side),
            None => read_image_file(&file.path),
        }
        .map_err(|error| match &file.line {
            None => error,
            Some(line) => ImageError::Listed {
                line: line.clone(),
                source: Box::new(error),
            },
        })
    }

    fn name(&self, index: usize) -> String {
        self.files[index].name.clone()
    }

    fn path(&self, index: usize) -> Option<&Path> {
        Some(&self.files[index].path)
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
        let check = check_image_file(&images[i].path);
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
pub(super) fn split(index: &DatasetIndex, subset: Subset) -> Split {
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
        Subset::Test => split.with_roles(roles),
    }
}
