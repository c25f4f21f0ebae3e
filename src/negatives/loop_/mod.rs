//! LoOp: optimal hard negatives on the curves between the images of a class (arXiv 2108.09335,
//! section 3), as published and in variants.
//!
//! # Published
//!
//! Rows 2i and 2i + 1 of a batch are a pair, and each pair is an anchor: a class of K images has K/2 pairs. The
//! negative distance of pair i, with images x₁ and x₂, and pair j of another class, with images y₁ and y₂, is the
//! smallest between the curves through the pairs:
//!
//! ```text
//! d⁻ = min over λ, μ ∈ [0, 1] of |p(λ) − q(μ)|
//! ```
//!
//! where p runs from x₁ to x₂ and q from y₁ to y₂: along arcs of great circles on the sphere
//! ([`arcs`](crate::geometry::arcs)), along straight segments in Euclidean space
//! ([`segments`](crate::geometry::segments)). The positive distance of pair i is the largest of either image to
//! another image z of the class:
//!
//! ```text
//! d⁺ = max over z of max(|x₁ − z|, |x₂ − z|)
//! ```
//!
//! With inner products, s⁻ = max p·q and s⁺ = min of x₁·z and x₂·z.
//!
//! # Variants
//!
//! Ours, not published. [`LoopPairs`] selects the pairs, [`LoopAnchors`] the anchors, in any combination:
//!
//! | pairs | a class of K images has |
//! | --- | --- |
//! | `Consecutive` (published) | K/2 pairs: rows 2i and 2i + 1 |
//! | `All` | K(K − 1)/2 pairs: every two images. K may be odd |
//!
//! | anchors | positives | d⁻ of anchor i and j |
//! | --- | --- | --- |
//! | `Pairs` (published) | the farthest image from either image of the pair | between the curves of pairs i and j |
//! | `Images` | the other images of the class, as without LoOp | smallest between a curve that ends in image i and a curve that ends in image j |
//! | `Points` | the same | smallest between image i and a curve that ends in image j |
//!
//! With images as anchors, the nearest negative of an image is therefore that of all curves that end in it. With
//! consecutive pairs one curve ends in an image, with all pairs K − 1.

mod approach;
mod image_anchors;
mod pair_anchors;
mod pair_list;
mod variant;

use burn::tensor::{Int, Tensor, backend::Backend};

use super::comparisons::Comparisons;
use super::space::Space;
use crate::geometry::Measure;
use pair_list::PairList;
pub use variant::{LoopAnchors, LoopNegatives, LoopPairs};

/// Compares the anchors of a batch, as the [module](self) describes.
///
/// - Anchors that are pairs (A = P) have one positive (Kp = 1), and the pairs of other classes as negatives
///   (Kn = P).
/// - Anchors that are images (A = N) have the other images of their class as positives, and those of other classes
///   as negatives (Kp = Kn = N).
///
/// Rows 2i and 2i + 1 of different classes are not a pair: as an anchor they have neither a positive nor a negative,
/// and they are not a negative of other anchors.
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    variant: LoopNegatives,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    if variant.is_published() {
        return pair_anchors::compare_consecutive(embeddings, labels, space, measure);
    }
    let [rows] = labels.dims();
    let list = match (variant.pairs, variant.images_per_class) {
        (LoopPairs::Consecutive, _) => PairList::of_groups(rows, 2),
        (LoopPairs::All, Some(images)) => PairList::of_groups(rows, images),
        (LoopPairs::All, None) => {
            let labels: Vec<i64> = labels.to_data().iter::<i64>().collect();
            PairList::of_classes(&labels)
        }
    };
    let list = list.on_device(&embeddings.device());
    match variant.anchors {
        LoopAnchors::Pairs => {
            pair_anchors::compare(embeddings, labels, &list.pairs, space, measure)
        }
        LoopAnchors::Images => image_anchors::compare(embeddings, labels, &list, space, measure),
        LoopAnchors::Points => {
            image_anchors::compare_points(embeddings, labels, &list, space, measure)
        }
    }
}
