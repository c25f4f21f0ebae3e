//! LoOp: optimal hard negatives on the arcs between the images of a class (arXiv 2108.09335).

use burn::tensor::{Int, Tensor, backend::Backend};

use super::comparisons::{Comparisons, others_of_class, same_class};
use super::masked::largest;
use crate::geometry::{Arcs, length_of_square};

/// Every pair of rows 2i and 2i + 1 is an anchor (A = P = N/2).
///
/// Its one positive distance (Kp = 1) is the largest from either member to any other image of its
/// class; its negative distances (Kn = P) are those between its arc and the arcs of the pairs of
/// other classes. Rows that differ in class are no pair: as an anchor they have neither positive nor
/// negative, and they are nobody's negative.
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
) -> Comparisons<B> {
    let pairs = labels.dims()[0] / 2;
    let members = labels.reshape([pairs, 2]);
    let first = members.clone().slice([0..pairs, 0..1]);
    let second = members.slice([0..pairs, 1..2]);
    let is_pair = first.clone().equal(second.clone());

    let arcs = Arcs::between_neighbours(embeddings);
    let label_of_end = Tensor::cat(vec![first.clone(), second], 0).squeeze_dim::<1>(1);
    let (squared_farthest, _) = largest(
        arcs.squared_end_distances(),
        others_of_class(same_class(label_of_end)),
    );

    let both_are_pairs = is_pair
        .clone()
        .expand([pairs, pairs])
        .bool_and(is_pair.clone().transpose().expand([pairs, pairs]));
    Comparisons {
        positives: length_of_square(
            squared_farthest
                .reshape([2, pairs])
                .max_dim(0)
                .reshape([pairs, 1]),
        ),
        // The members of a pair are each other's positive, so there is one.
        positive_mask: is_pair,
        negatives: arcs.distances(),
        negative_mask: first
            .clone()
            .not_equal(first.transpose())
            .bool_and(both_are_pairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;

    fn compared(labels: &[i64]) -> (Comparisons<TestBackend>, Vec<Vec<f64>>) {
        let rows = Kind::Random.rows(labels.len() / 2, 8, 7);
        let labels = Tensor::from_data(labels, &Default::default());
        (
            compare(tensor::<TestBackend>(&rows), labels),
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
    fn rows_of_different_classes_are_no_pair() {
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
