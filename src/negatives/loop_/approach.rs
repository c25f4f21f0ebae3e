//! The closest approach of the curves of pairs of rows, with each other and with the rows.

use burn::tensor::{Tensor, backend::Backend};

use crate::geometry::corners::{corner_products_of_pairs, corner_products_of_points};
use crate::geometry::pair_rows::PairRows;
use crate::geometry::row_products::RowProducts;
use crate::geometry::{Measure, arcs, segments};
use crate::negatives::Space;

/// Returns the smallest distance, or the largest inner product, between the curves of every two pairs, \[P, P\].
/// `products` are those of the embeddings.
pub(super) fn approach_of_pairs<B: Backend>(
    embeddings: Tensor<B, 2>,
    products: &RowProducts<B>,
    pairs: &PairRows<B>,
    space: Space,
    measure: Measure,
) -> Tensor<B, 2> {
    match (space, measure) {
        (Space::Sphere, _) => arcs::approach(&products.frames(pairs), measure),
        (Space::Euclidean, Measure::Distance) => segments::distances(&products.frames(pairs)),
        (Space::Euclidean, Measure::InnerProduct) => corner_products_of_pairs(embeddings, pairs),
    }
}

/// Returns the smallest distance, or the largest inner product, between every embedding and the curve of every pair,
/// \[N, P\].
pub(super) fn approach_of_points<B: Backend>(
    embeddings: Tensor<B, 2>,
    pairs: &PairRows<B>,
    space: Space,
    measure: Measure,
) -> Tensor<B, 2> {
    let products = || RowProducts::new(embeddings.clone(), space == Space::Sphere);
    match (space, measure) {
        (Space::Sphere, _) => arcs::approach_of_points(&products().point_frames(pairs), measure),
        (Space::Euclidean, Measure::Distance) => {
            segments::distances_of_points(&products().point_frames(pairs))
        }
        (Space::Euclidean, Measure::InnerProduct) => corner_products_of_points(embeddings, pairs),
    }
}
