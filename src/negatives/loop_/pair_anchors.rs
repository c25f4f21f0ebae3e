//! Pairs of images as anchors.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use super::approach::approach_of_pairs;
use crate::geometry::frames::Frames;
use crate::geometry::pair_rows::PairRows;
use crate::geometry::row_products::RowProducts;
use crate::geometry::{Measure, arcs, corner_products, length_of_square, segments, transpose};
use crate::negatives::Space;
use crate::negatives::comparisons::{
    Comparisons, both, others_of_class, same_class, squared_lengths,
};

/// Compares every pair of rows 2i and 2i + 1 with every other: each pair is an anchor (A = P = N/2).
pub(super) fn compare_consecutive<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let pairs = labels.dims()[0] / 2;
    let members = labels.reshape([pairs, 2]);
    let first = members.clone().slice([0..pairs, 0..1]);
    let second = members.slice([0..pairs, 1..2]);
    let label_of_end = Tensor::cat(vec![first.clone(), second.clone()], 0).squeeze_dim::<1>(1);

    let frames = Frames::from_neighbours(embeddings.clone(), space == Space::Sphere);
    let others = others_of_class(same_class(label_of_end));
    let dissimilarity = match measure {
        Measure::Distance => frames.squared_end_distances(),
        Measure::InnerProduct => frames.end_products().neg(),
    };
    let (farthest, other) = farthest_of_class(dissimilarity, others);
    let (side, other) = farther_end(farthest, other);
    let pair = Tensor::arange(0..pairs as i64, &side.device());
    let end = side.mul_scalar(pairs as i64) + pair;
    let farthest = [end, other].map(|end| row_of_end(end, pairs));
    let (positive_mask, negative_mask) = masks([first, second]);
    Comparisons {
        measure,
        positives: positives(&embeddings, farthest, measure),
        positive_mask,
        negatives: match (space, measure) {
            (Space::Sphere, _) => arcs::approach(&frames, measure),
            (Space::Euclidean, Measure::Distance) => segments::distances(&frames),
            (Space::Euclidean, Measure::InnerProduct) => corner_products(embeddings.clone()),
        },
        negative_mask,
        squared_lengths: squared_lengths(embeddings).reshape([pairs, 2]).mean_dim(1),
    }
}

/// Compares every one of `pairs` with every other: each pair is an anchor (A = P).
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    pairs: &PairRows<B>,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let products = RowProducts::new(embeddings.clone(), space == Space::Sphere);
    let others = others_of_class(same_class(labels.clone()));
    let dissimilarity = match measure {
        Measure::Distance => products.quarter_squared_distances(),
        Measure::InnerProduct => products.quarter_products().neg(),
    };
    let (farthest, other) = farthest_of_class(dissimilarity, others);
    let (side, other) = farther_end(
        Tensor::cat(pairs.ends(farthest, 0).into(), 0),
        Tensor::cat(pairs.ends(other, 0).into(), 0),
    );
    let second_is_farther = side.greater_elem(0);
    let end = pairs
        .first
        .clone()
        .mask_where(second_is_farther, pairs.second.clone());
    let label = labels.unsqueeze_dim::<2>(1);
    let (positive_mask, negative_mask) = masks(pairs.ends(label, 0));
    let [first_length, second_length] = pairs.ends(squared_lengths(embeddings.clone()), 0);
    Comparisons {
        measure,
        positives: positives(&embeddings, [end, other], measure),
        positive_mask,
        negatives: approach_of_pairs(embeddings, &products, pairs, space, measure),
        negative_mask,
        squared_lengths: (first_length + second_length).mul_scalar(0.5),
    }
}

/// Returns the measure of the rows of two lists, \[P, 1\].
fn positives<B: Backend>(
    embeddings: &Tensor<B, 2>,
    rows: [Tensor<B, 1, Int>; 2],
    measure: Measure,
) -> Tensor<B, 2> {
    let [one, other] = rows.map(|rows| embeddings.clone().select(0, rows));
    match measure {
        // The difference of two rows is exact, however near they are.
        Measure::Distance => length_of_square(squared_lengths(one - other)),
        Measure::InnerProduct => (one * other).sum_dim(1),
    }
}

/// Returns the masks of the positive, \[P, 1\], and of the negatives, \[P, P\], of pairs whose ends have these labels,
/// \[P, 1\].
fn masks<B: Backend>(
    [first, second]: [Tensor<B, 2, Int>; 2],
) -> (Tensor<B, 2, Bool>, Tensor<B, 2, Bool>) {
    let is_pair = first.clone().equal(second);
    let others = first
        .clone()
        .not_equal(transpose(first))
        .bool_and(both(is_pair.clone()));
    // Each member of a pair is a positive of the other, so every pair has a positive.
    (is_pair, others)
}

/// Returns for every end its largest dissimilarity to another image of its class, \[E, 1\], and the index of that
/// end, \[E\]. The index is arbitrary for an end without other images of its class.
///
/// # Shapes
/// - dissimilarity: \[E, E\], larger for less similar ends
/// - others: \[E, E\], true where two ends are different images of one class
fn farthest_of_class<B: Backend>(
    dissimilarity: Tensor<B, 2>,
    others: Tensor<B, 2, Bool>,
) -> (Tensor<B, 2>, Tensor<B, 2, Int>) {
    dissimilarity
        .mask_fill(others.bool_not(), f32::MIN)
        .max_dim_with_indices(1)
}

/// Returns for every pair whether its second end (1) or its first (0) is farther from another image, and the index of
/// that image, \[P\] each.
///
/// # Shapes
/// - farthest, other: [`farthest_of_class`] of the first ends of all pairs, then of the second, \[2P, 1\]
fn farther_end<B: Backend>(
    farthest: Tensor<B, 2>,
    other: Tensor<B, 2, Int>,
) -> (Tensor<B, 1, Int>, Tensor<B, 1, Int>) {
    let pairs = farthest.dims()[0] / 2;
    let (_, side) = farthest.reshape([2, pairs]).max_dim_with_indices(0);
    let other = other.reshape([2, pairs]).gather(0, side.clone());
    (side.squeeze_dim(0), other.squeeze_dim(0))
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
            compare_consecutive(
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
