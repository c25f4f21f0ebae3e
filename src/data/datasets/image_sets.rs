//! Several sets of images as one, such as the images that a search is given one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::image_set::ImageSet;
use super::named_image::bounding_box_in;
use crate::data::image_file::ImageError;
use crate::data::images::Images;
use crate::data::split::Split;
use crate::embedding_file::NO_CLASS;

/// The images of several sets, one set after the other.
struct JoinedImages {
    parts: Vec<Part>,
}

struct Part {
    /// The number of the first image among all.
    first: usize,
    split: Split,
}

impl JoinedImages {
    /// Returns the set of image `index`, and the number of the image in it.
    fn part(&self, index: usize) -> (&Part, usize) {
        let after = self.parts.partition_point(|part| part.first <= index);
        let part = &self.parts[after - 1];
        (part, index - part.first)
    }
}

impl Images for JoinedImages {
    fn image(&self, index: usize, min_side: Option<u32>) -> Result<RgbImage, ImageError> {
        let (part, index) = self.part(index);
        part.split.images().image(index, min_side)
    }

    fn size(&self, index: usize) -> Result<(u32, u32), ImageError> {
        let (part, index) = self.part(index);
        part.split.images().size(index)
    }

    fn name(&self, index: usize) -> String {
        let (part, index) = self.part(index);
        let name = part.split.image_name(index);
        match part.split.path(index) {
            Some(path) => format!("{}{}", path.display(), bounding_box_in(&name)),
            None => name,
        }
    }

    fn features(&self, index: usize) -> Option<&[f32]> {
        let (part, index) = self.part(index);
        part.split.features(index)
    }

    fn path(&self, index: usize) -> Option<&Path> {
        let (part, index) = self.part(index);
        part.split.path(index)
    }
}

impl ImageSet {
    /// Joins sets, whose images keep their order. The names become the paths of the files. Classes of the same name
    /// become one.
    ///
    /// # Panics
    /// If there is no set.
    pub fn join(sets: Vec<Self>) -> Self {
        let path = sets.first().expect("at least one set").path.clone();
        let classes: BTreeSet<String> = sets.iter().flat_map(|set| set.classes.clone()).collect();
        let classes: Vec<String> = classes.into_iter().collect();
        let numbers: BTreeMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
        let (mut labels, mut parts, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for set in sets {
            let label = |&label: &i64| match label {
                NO_CLASS => NO_CLASS,
                label => numbers[set.classes[label as usize].as_str()],
            };
            parts.push(Part {
                first: labels.len(),
                split: set.split,
            });
            labels.extend(set.labels.iter().map(label));
            skipped.extend(set.skipped);
        }
        let (name, names) = (parts[0].split.name(), parts[0].split.class_names().to_vec());
        let images = Arc::new(JoinedImages { parts });
        Self {
            path,
            split: Split::new(name, names, vec![0; labels.len()], images),
            labels,
            classes,
            skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::Tree;
    use super::*;
    use crate::data::config::LoadingConfig;
    use crate::data::datasets::ImageSelection;
    use crate::progress::Monitor;

    #[test]
    fn joined_sets_keep_images_names_and_classes() {
        let names = [
            "c/5.jpg",
            "a/cat/1.jpg",
            "a/dog/2.jpg",
            "b/cow/3.jpg",
            "b/dog/4.jpg",
        ];
        let tree = Tree::new();
        tree.images(&names);
        for (name, width) in names.iter().zip(10..) {
            let picture = RgbImage::new(width, 10);
            picture.save(tree.root().join(name)).unwrap();
        }
        let open = |path: &str| {
            let (selection, loading) = (ImageSelection::default(), LoadingConfig::default());
            let path = tree.root().join(path);
            ImageSet::open(&path, &selection, &loading, Monitor::none()).unwrap()
        };
        let joined = ImageSet::join(["c/5.jpg", "a", "b"].map(open).to_vec());
        assert_eq!(joined.classes, ["cat", "cow", "dog"]);
        assert_eq!(joined.labels, [NO_CLASS, 0, 2, 1, 2]);
        for (index, name) in names.iter().enumerate() {
            let path = tree.root().join(name);
            assert_eq!(joined.split.image_name(index), path.to_str().unwrap());
            assert_eq!(joined.split.path(index).unwrap(), path);
            let width = joined.split.image(index).unwrap().width();
            assert_eq!(width as usize, 10 + index);
        }
    }
}
