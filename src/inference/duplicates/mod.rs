//! Near-duplicate images of a set, and images whose neighbours are of another class.
//!
//! Every image is compared with its nearest neighbours among all images. Two images are near duplicates if their
//! embeddings are at most a threshold apart. By default it is a tenth of the median distance of an image to its nearest
//! neighbour: it follows the scale of the embeddings, whatever the network is. Within a tenth of a distance there is a
//! share of 10⁻ᵈ of the neighbours, where d is the number of directions in which embeddings vary around an image. With
//! six, that is one in a million.
//!
//! An image is likely mislabelled if another class leads by half of the votes of its neighbours, with at least two. As many
//! neighbours vote as there are other images of its class, at most K, so that a small class can win.

mod groups;
#[cfg(test)]
mod tests;
mod votes;

use burn::tensor::backend::Backend;

use super::error::InferenceError;
use super::retrieval_error::RetrievalError;
use super::search::{Class, EmbeddedImages};
use crate::evaluation::{Neighbour, NeighbourSearch, nearest_neighbours};
use crate::progress::Monitor;
pub use groups::{DuplicateGroup, Relation};
pub use votes::Mislabelled;

/// The default threshold, relative to the median distance to the nearest neighbour.
pub const RELATIVE_THRESHOLD: f64 = 0.1;

/// A part of a set of images: a split.
#[derive(Debug, Clone)]
pub struct ImagePart {
    /// Its name, such as `train`.
    pub split: String,
    /// Its images.
    pub images: EmbeddedImages,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DuplicateOptions {
    /// The number K of neighbours with which an image is compared, at least 1.
    pub neighbours: usize,
    /// The greatest distance of near duplicates; `None` is [`RELATIVE_THRESHOLD`] of the median.
    pub threshold: Option<f64>,
}

/// The near duplicates of a set, and the images that are likely mislabelled.
#[derive(Debug, Clone)]
pub struct DuplicateReport {
    images: AllImages,
    /// The greatest distance of near duplicates.
    pub threshold: f64,
    /// The median distance of an image to its nearest neighbour; 0 if there is one image only.
    pub median_distance: f64,
    /// Groups of near duplicates: those in several splits first, then those of several classes; the nearest first.
    pub groups: Vec<DuplicateGroup>,
    /// The number of images all of whose K neighbours are near duplicates, so that there may be more of them.
    pub incomplete: usize,
    /// Images whose neighbours are of another class, those with the greatest margin first.
    pub mislabelled: Vec<Mislabelled>,
}

/// The images of all parts, one part after the other.
#[derive(Debug, Clone)]
pub(super) struct AllImages {
    parts: Vec<ImagePart>,
    /// The first image of each part.
    starts: Vec<usize>,
    count: usize,
}

impl AllImages {
    fn new(parts: Vec<ImagePart>) -> Self {
        let mut count = 0;
        let starts = parts.iter().map(|part| {
            let start = count;
            count += part.images.count();
            start
        });
        Self {
            starts: starts.collect(),
            parts,
            count,
        }
    }

    /// Returns the part of an image, and its number in it.
    fn locate(&self, image: usize) -> (&ImagePart, usize) {
        let part = self.starts.partition_point(|&start| start <= image) - 1;
        (&self.parts[part], image - self.starts[part])
    }

    fn class(&self, image: usize) -> Option<Class<'_>> {
        let (part, index) = self.locate(image);
        part.images.class(index)
    }

    fn split(&self, image: usize) -> &str {
        &self.locate(image).0.split
    }
}

/// Finds near duplicates and likely mislabelled images among all images of `parts`, at least one part. Classes of the
/// same name are one class.
///
/// # Errors
/// If parts have different dimensions, if the classes of some are names and of others numbers, or if a stop was
/// requested.
pub fn duplicates<B: Backend>(
    mut parts: Vec<ImagePart>,
    options: DuplicateOptions,
    device: &B::Device,
    monitor: Monitor<'_>,
) -> Result<DuplicateReport, InferenceError> {
    check_parts(&parts)?;
    let dim = parts[0].images.dim;
    // The rows are needed once, all of them together.
    let mut rows = std::mem::take(&mut parts[0].images.rows);
    for part in &mut parts[1..] {
        rows.append(&mut part.images.rows);
    }
    let images = AllImages::new(parts);
    let search = NeighbourSearch {
        queries: &rows,
        gallery: &rows,
        dim,
        k: options.neighbours,
        is_excluded: &|query, row| query == row,
    };
    let neighbours = nearest_neighbours::<B>(search, device, monitor)?;
    drop(rows);
    let median_distance = median_distance(&neighbours);
    let default = RELATIVE_THRESHOLD * median_distance;
    let threshold = options.threshold.unwrap_or(default);
    let is_full = |found: &&Vec<Neighbour>| {
        let all_are_near = || found.iter().all(|near| near.distance <= threshold);
        found.len() == options.neighbours && found.len() + 1 < images.count && all_are_near()
    };
    Ok(DuplicateReport {
        threshold,
        median_distance,
        groups: groups::groups(&images, &neighbours, threshold),
        incomplete: neighbours.iter().filter(is_full).count(),
        mislabelled: votes::mislabelled(&images, &neighbours),
        images,
    })
}

fn check_parts(parts: &[ImagePart]) -> Result<(), RetrievalError> {
    let first = &parts[0].images;
    for part in parts.iter().map(|part| &part.images) {
        if part.dim != first.dim {
            return Err(RetrievalError::Dimensions {
                path: first.origin.clone(),
                queries: first.dim,
                gallery_path: part.origin.clone(),
                gallery: part.dim,
            });
        }
    }
    let has = |images: &EmbeddedImages, names: bool| {
        let mut classes = (0..images.count()).filter_map(|index| images.class(index));
        classes.any(|class| matches!(class, Class::Name(_)) == names)
    };
    let with = |names| parts.iter().find(|part| has(&part.images, names));
    match (with(true), with(false)) {
        (Some(names), Some(numbers)) => Err(RetrievalError::NamesAndNumbers {
            names: names.images.origin.clone(),
            numbers: numbers.images.origin.clone(),
        }),
        _ => Ok(()),
    }
}

/// The median distance to the nearest neighbour, the lower one of two; 0 if there are no neighbours.
fn median_distance(neighbours: &[Vec<Neighbour>]) -> f64 {
    let nearest = neighbours.iter().filter_map(|found| found.first());
    let mut nearest: Vec<f64> = nearest.map(|found| found.distance).collect();
    if nearest.is_empty() {
        return 0.0;
    }
    let middle = (nearest.len() - 1) / 2;
    *nearest.select_nth_unstable_by(middle, f64::total_cmp).1
}

impl DuplicateReport {
    /// Returns the number of images of all splits.
    pub fn count(&self) -> usize {
        self.images.count
    }

    /// Returns the names of the splits, and the number of images of each.
    pub fn splits(&self) -> impl Iterator<Item = (&str, usize)> {
        let parts = self.images.parts.iter();
        parts.map(|part| (part.split.as_str(), part.images.count()))
    }

    /// Returns the split of an image.
    pub fn split(&self, image: usize) -> &str {
        self.images.split(image)
    }

    /// Returns the class of an image; `None` if it has none.
    pub fn class(&self, image: usize) -> Option<Class<'_>> {
        self.images.class(image)
    }

    /// Returns the images of the split of an image, and its number among them.
    pub fn located(&self, image: usize) -> (&EmbeddedImages, usize) {
        let (part, index) = self.images.locate(image);
        (&part.images, index)
    }

    /// Returns the path of an image, or its row in its split.
    pub fn name(&self, image: usize) -> String {
        let (images, index) = self.located(image);
        images.name(index)
    }
}
