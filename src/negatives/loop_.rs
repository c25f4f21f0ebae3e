//! LoOp: optimal hard negatives on the curves between the images of a class (arXiv 2108.09335,
//! section 3).
//!
//! The negative distance of pair i, with images x₁ and x₂, and pair j of another class, with images
//! y₁ and y₂, is the smallest between the curves through the pairs:
//!
//! ```text
//! d⁻ = min over λ, μ ∈ [0, 1] of |p(λ) − q(μ)|
//! ```
//!
//! where p runs from x₁ to x₂ and q from y₁ to y₂: along arcs of great circles on the sphere
//! ([`arcs`]), along straight segments in Euclidean space ([`segments`]). The positive distance of pair
//! i is the largest of either image to another image z of the class:
//!
//! ```text
//! d⁺ = max over z of max(|x₁ − z|, |x₂ − z|)
//! ```
//!
//! With inner products, s⁻ = max p·q and s⁺ = min of x₁·z and x₂·z.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use super::comparisons::{Comparisons, both, others_of_class, same_class, squared_lengths};
use super::space::Space;
use crate::geometry::frames::Frames;
use crate::geometry::{Measure, arcs, corner_products, length_of_square, segments, transpose};

/// Compares every pair of rows 2i and 2i + 1 with every other: each pair is an anchor (A = P = N/2).
///
/// Its one positive (Kp = 1) is the farthest image of its class from either member. Its negatives
/// (Kn = P) are the pairs of other classes, with the closest approach of the two curves. Rows 2i and
/// 2i + 1 of different classes are not a pair: as an anchor they have neither a positive nor a
/// negative, and they are not a negative of other anchors.
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let pairs = labels.dims()[0] / 2;
    let members = labels.reshape([pairs, 2]);
    let first = members.clone().slice([0..pairs, 0..1]);
    let second = members.slice([0..pairs, 1..2]);
    let is_pair = first.clone().equal(second.clone());
    let label_of_end = Tensor::cat(vec![first.clone(), second], 0).squeeze_dim::<1>(1);

    let frames = Frames::from_neighbours(embeddings.clone(), space == Space::Sphere);
    let others = others_of_class(same_class(label_of_end));
    let dissimilarity = match measure {
        Measure::Distance => frames.squared_end_distances(),
        Measure::InnerProduct => frames.end_products().neg(),
    };
    let (one, other) = farthest_of_class(dissimilarity, others);
    let (one, other) = (
        embeddings.clone().select(0, row_of_end(one, pairs)),
        embeddings.clone().select(0, row_of_end(other, pairs)),
    );
    Comparisons {
        measure,
        positives: match measure {
            // The difference of two rows is exact, however near they are.
            Measure::Distance => length_of_square(squared_lengths(one - other)),
            Measure::InnerProduct => (one * other).sum_dim(1),
        },
        // Each member of a pair is a positive of the other, so every pair has a positive.
        positive_mask: is_pair.clone(),
        negatives: match (space, measure) {
            (Space::Sphere, _) => arcs::approach(&frames, measure),
            (Space::Euclidean, Measure::Distance) => segments::distances(&frames),
            (Space::Euclidean, Measure::InnerProduct) => corner_products(embeddings.clone()),
        },
        negative_mask: first
            .clone()
            .not_equal(transpose(first))
            .bool_and(both(is_pair)),
        squared_lengths: squared_lengths(embeddings).reshape([pairs, 2]).mean_dim(1),
    }
}

/// Returns for every pair the two images of its class that are farthest from each other, one of them a
/// member of the pair, as indices of ends. The indices are arbitrary for a pair without other images
/// of its class.
///
/// # Shapes
/// - dissimilarity: \[2P, 2P\], larger for less similar ends; the first ends of all pairs, then the second
/// - others: \[2P, 2P\], true where two ends are different images of one class
/// - output: \[P\], \[P\]
fn farthest_of_class<B: Backend>(
    dissimilarity: Tensor<B, 2>,
    others: Tensor<B, 2, Bool>,
) -> (Tensor<B, 1, Int>, Tensor<B, 1, Int>) {
    let pairs = dissimilarity.dims()[0] / 2;
    let (farthest, other) = dissimilarity
        .mask_fill(others.bool_not(), f32::MIN)
        .max_dim_with_indices(1);
    let (_, side) = farthest.reshape([2, pairs]).max_dim_with_indices(0);
    let other = other.reshape([2, pairs]).gather(0, side.clone());
    let pair = Tensor::arange(0..pairs as i64, &side.device());
    let member = side.squeeze_dim::<1>(0).mul_scalar(pairs as i64) + pair;
    (member, other.squeeze_dim(0))
}

/// Returns the rows of ends that are numbered as in [`Frames::end_products`].
fn row_of_end<B: Backend>(end: Tensor<B, 1, Int>, pairs: usize) -> Tensor<B, 1, Int> {
    let second = end.clone().greater_equal_elem(pairs as i64).int();
    (end - second.clone().mul_scalar(pairs as i64)).mul_scalar(2) + second
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    fn compared(labels: &[i64]) -> (Comparisons<TestBackend>, Vec<Vec<f64>>) {
        let rows = Kind::Random.rows(labels.len() / 2, 8, 7);
        let labels = Tensor::from_data(labels, &Default::default());
        (
            compare(
                tensor::<TestBackend>(&rows),
                labels,
                Space::Sphere,
                Measure::Distance,
            ),
            widened(&rows),
        )
    }

    fn flags(mask: Tensor<TestBackend, 2, burn::tensor::Bool>) -> Vec<bool> {
        mask.into_data().iter::<bool>().collect()
    }

    #[test]
    fn positive_is_the_farthest_image_of_the_class_from_either_member() {
        let (comparisons, rows) = compared(&[3, 3, 3, 3, 5, 5]);
        let of_class = |images: &[usize], members: [usize; 2]| {
            members
                .iter()
                .flat_map(|&m| images.iter().map(move |&k| (m, k)))
                .map(|(m, k)| point_distance(&rows[m], &rows[k]))
                .fold(0.0, f64::max)
        };
        let expected = [
            of_class(&[0, 1, 2, 3], [0, 1]),
            of_class(&[0, 1, 2, 3], [2, 3]),
            of_class(&[4, 5], [4, 5]),
        ];
        assert!(point_distance(&values(comparisons.positives), &expected) < 1e-6);
        assert_eq!(flags(comparisons.positive_mask), [true; 3]);
    }

    #[test]
    fn negatives_are_the_arcs_of_other_classes() {
        let (comparisons, rows) = compared(&[3, 3, 3, 3, 5, 5]);
        let arc = |i: usize| [&rows[2 * i][..], &rows[2 * i + 1][..]];
        let actual = values(comparisons.negatives);
        for (i, j) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
            assert!((actual[3 * i + j] - arc_distance(arc(i), arc(j))).abs() < 1e-6);
        }
        #[rustfmt::skip]
        let other_class = [
            false, false, true,
            false, false, true,
            true, true, false,
        ];
        assert_eq!(flags(comparisons.negative_mask), other_class);
    }

    #[test]
    fn rows_of_different_classes_are_not_a_pair() {
        let (comparisons, _) = compared(&[0, 0, 1, 2, 3, 3]);
        assert_eq!(flags(comparisons.positive_mask), [true, false, true]);
        #[rustfmt::skip]
        let between_pairs = [
            false, false, true,
            false, false, false,
            true, false, false,
        ];
        assert_eq!(flags(comparisons.negative_mask), between_pairs);
    }
}
