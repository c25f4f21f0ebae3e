//! Images as anchors.

use burn::tensor::{Int, Tensor, backend::Backend};

use super::approach::{approach_of_pairs, approach_of_points};
use super::pair_list::PairsOfRows;
use crate::geometry::row_products::RowProducts;
use crate::geometry::{Measure, transpose};
use crate::negatives::Space;
use crate::negatives::comparisons::{Comparisons, both};
use crate::negatives::none;

/// Compares every image with every other: each image is an anchor (A = N) with the positives of `none` (Kp = N). The
/// value of two images of different classes (Kn = N) is the nearest of a curve that ends in one and a curve that ends
/// in the other.
///
/// An image in which no curve ends is neither an anchor nor a negative.
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    list: &PairsOfRows<B>,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let images = none::compare(embeddings.clone(), labels.clone(), measure);
    let products = RowProducts::new(embeddings.clone(), space == Space::Sphere);
    let approach = approach_of_pairs(embeddings, &products, &list.pairs, space, measure);
    let of_rows = list.nearest_of_rows(approach, measure);
    Comparisons {
        negatives: list.nearest_of_columns(of_rows, measure),
        negative_mask: images.negative_mask.bool_and(both(list.has_curves(labels))),
        ..images
    }
}

/// Compares every image with every other as [`compare`] does, but the anchor is a point: the value of two images of
/// different classes is the nearest of the anchor and a curve that ends in the other image.
///
/// An image in which no curve ends is not a negative.
pub(super) fn compare_points<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    list: &PairsOfRows<B>,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let images = none::compare(embeddings.clone(), labels.clone(), measure);
    let approach = approach_of_points(embeddings, &list.pairs, space, measure);
    let has_curves = transpose(list.has_curves(labels));
    let shape = images.negative_mask.shape();
    Comparisons {
        negatives: list.nearest_of_columns(approach, measure),
        negative_mask: images.negative_mask.bool_and(has_curves.expand(shape)),
        ..images
    }
}
