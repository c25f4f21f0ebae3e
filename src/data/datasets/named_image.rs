//! An image by the name that embeddings have for it: a path, with a bounding box if it has one.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::index::Entry;
use crate::data::bounding_box::BoundingBox;
use crate::data::image_file::ImageError;

/// Returns the file of an image called `name` below `root`, without the bounding box of the name.
pub fn named_image_file(root: &Path, name: &str) -> PathBuf {
    root.join(parsed(name).0)
}

/// Decodes the image called `name` below `root`: the file, or the part of it in the bounding box that the name ends
/// with, as in `a.jpg#12,4,200,180`. A whole image may be reduced to a shorter side of at least `min_side` pixels.
///
/// # Errors
/// If the file cannot be read or decoded, or the bounding box is not inside the image.
pub fn named_image(root: &Path, name: &str, min_side: u32) -> Result<RgbImage, ImageError> {
    let (path, bounding_box) = parsed(name);
    let entry = Entry::new(path, root.join(path)).with_bounding_box(bounding_box);
    entry.decode(Some(min_side))
}

/// Returns the bounding box that a name ends with, `#12,4,200,180`, or an empty text.
pub(super) fn bounding_box_in(name: &str) -> &str {
    let (path, _) = parsed(name);
    &name[path.len()..]
}

/// The path in a name, and the bounding box after it.
fn parsed(name: &str) -> (&str, Option<BoundingBox>) {
    let bounding_box = |numbers: &str| {
        let edges: Result<Vec<u32>, _> = numbers.split(',').map(str::parse).collect();
        let edges: [u32; 4] = edges.ok()?.try_into().ok()?;
        BoundingBox::new(edges.map(f64::from)).ok()
    };
    match name.rsplit_once('#') {
        Some((path, numbers)) => match bounding_box(numbers) {
            Some(bounding_box) => (path, Some(bounding_box)),
            None => (name, None),
        },
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounding_box_is_cropped_and_other_endings_belong_to_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let picture = RgbImage::from_fn(20, 10, |x, y| image::Rgb([x as u8, y as u8, 0]));
        for name in ["a.png", "b#1.png", "c.png#1,2,3"] {
            picture
                .save_with_format(folder.path().join(name), image::ImageFormat::Png)
                .unwrap();
            assert_eq!(named_image(folder.path(), name, 1).unwrap(), picture);
            assert_eq!(
                named_image_file(folder.path(), name),
                folder.path().join(name)
            );
        }
        let part = named_image(folder.path(), "a.png#2,3,12,9", 1).unwrap();
        assert_eq!(
            (part.dimensions(), part.get_pixel(0, 0).0),
            ((10, 6), [2, 3, 0])
        );
        assert!(named_image(folder.path(), "a.png#2,3,99,9", 1).is_err());
        let file = named_image_file(folder.path(), "a.png#2,3,12,9");
        assert_eq!(file, folder.path().join("a.png"));
    }
}
