//! The image files of a subset of a index, as the images of a split.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::index::{ClassEntries, DatasetIndex, Entry, Subset};
use crate::cancellation::CancellationToken;
use crate::data::config::BrokenImages;
use crate::data::image_file::{check_image_file, read_image_file, read_image_file_for};
use crate::data::parallel::in_parallel_until;
use crate::data::{DataError, Images, Split};

struct ImageFiles {
    files: Vec<Entry>,
}

impl Images for ImageFiles {
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, DataError> {
        let file = &self.files[index];
        match min_side {
            Some(min_side) => read_image_file_for(&file.path, min_side),
            None => read_image_file(&file.path),
        }
        .map_err(|error| file.locate(error))
    }

    fn name(&self, index: usize) -> String {
        self.files[index].name.clone()
    }

    fn path(&self, index: usize) -> Option<&Path> {
        Some(&self.files[index].path)
    }
}

/// Looks at the header and the end of every image of a subset. Those that could not be decoded are an
/// error, or leave the index, with classes of which nothing is left; they are given.
pub(super) fn exclude_broken(
    classes: &mut Vec<ClassEntries>,
    broken: BrokenImages,
    workers: usize,
    cancellation: &CancellationToken,
) -> Result<Vec<DataError>, DataError> {
    let images: Vec<&Entry> = classes.iter().flat_map(|class| &class.images).collect();
    let looks = check_files(&images, workers, cancellation)?;
    let sound: Vec<bool> = looks.iter().map(Result::is_ok).collect();
    let left_out: Vec<DataError> = looks.into_iter().filter_map(Result::err).collect();
    if let (BrokenImages::Fail, Some(first)) = (broken, left_out.first()) {
        return Err(first.clone().and_more(left_out.len() - 1));
    }
    let mut sound = sound.into_iter();
    for class in classes.iter_mut() {
        class.images.retain(|_| sound.next().unwrap_or(true));
    }
    classes.retain(|class| !class.images.is_empty());
    Ok(left_out)
}

/// Looks at the header and the end of every image: what is wrong with those that could not be decoded.
pub(super) fn check_files(
    images: &[&Entry],
    workers: usize,
    cancellation: &CancellationToken,
) -> Result<Vec<Result<(), DataError>>, DataError> {
    in_parallel_until(cancellation, workers, images.len(), |i| {
        let look = check_image_file(&images[i].path);
        look.map(drop).map_err(|error| images[i].locate(error))
    })
}

/// The listed files as images of a split.
pub(super) fn images_of(files: Vec<Entry>) -> Arc<dyn Images> {
    Arc::new(ImageFiles { files })
}

/// The split of a subset.
pub(super) fn split(index: &DatasetIndex, subset: Subset) -> Split {
    let (mut names, mut labels, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for (label, class) in index.subset(subset).iter().enumerate() {
        names.push(class.name.clone());
        labels.extend(vec![label; class.images.len()]);
        files.extend(class.images.iter().cloned());
    }
    let roles = files.iter().map(|image| image.role).collect();
    let split = Split::new(subset.name(), names, labels, images_of(files));
    match subset {
        Subset::Train => split,
        Subset::Test => split.with_roles(roles),
    }
}
