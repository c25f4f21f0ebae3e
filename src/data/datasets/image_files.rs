//! The image files of a side of a listing, as the images of a split.

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::listing::{ListedImage, Listing, Side};
use crate::config::BrokenImages;
use crate::data::image_file::{check_image_file, read_image_file, read_image_file_for};
use crate::data::parallel::{Interrupted, in_parallel_until};
use crate::data::{DataError, Images, Split};

struct ImageFiles {
    files: Vec<ListedImage>,
}

impl Images for ImageFiles {
    fn image(&self, index: usize, needed: Option<u32>) -> Result<RgbImage, DataError> {
        let file = &self.files[index];
        match needed {
            Some(needed) => read_image_file_for(&file.path, needed),
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

/// The split of a side; looks at the header and the end of every image. Those that could not be
/// decoded are an error, or left out.
pub(super) fn split(
    listing: &Listing,
    side: Side,
    broken: BrokenImages,
    workers: usize,
    interrupted: Interrupted,
) -> Result<Split, DataError> {
    let classes = listing.side(side);
    let images: Vec<(usize, &ListedImage)> = classes
        .iter()
        .enumerate()
        .flat_map(|(label, class)| class.images.iter().map(move |image| (label, image)))
        .collect();
    let looks = in_parallel_until(interrupted, workers, images.len(), |i| {
        let image = images[i].1;
        check_image_file(&image.path).map_err(|error| image.locate(error))
    })?;
    let (mut labels, mut files, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for ((label, image), look) in images.into_iter().zip(looks) {
        match look {
            Ok(_) => {
                labels.push(label);
                files.push(image.clone());
            }
            Err(error) => left_out.push(error),
        }
    }
    if let (BrokenImages::Fail, Some(first)) = (broken, left_out.first()) {
        return Err(first.clone().and_more(left_out.len() - 1));
    }
    // A class of which nothing is left goes with its images.
    let mut kept = vec![None; classes.len()];
    let mut names = Vec::new();
    for label in &mut labels {
        *label = *kept[*label].get_or_insert_with(|| {
            names.push(classes[*label].name.clone());
            names.len() - 1
        });
    }
    let roles = files.iter().map(|image| image.role).collect();
    let split = Split::new(side.name(), names, labels, Arc::new(ImageFiles { files }));
    let split = split.with_left_out(left_out);
    Ok(match side {
        Side::Train => split,
        Side::Test => split.with_roles(roles),
    })
}
