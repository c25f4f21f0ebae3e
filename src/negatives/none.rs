//! Negatives among the images' own embeddings.

use burn::tensor::{Int, Tensor, backend::Backend};

use super::comparisons::{Comparisons, others_of_class, same_class};
use crate::geometry::point_distances;

/// Every image is an anchor (A = N); its positives are the other images of its class, its negatives
/// the images of other classes (Kp = Kn = N).
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
) -> Comparisons<B> {
    let distances = point_distances(embeddings);
    let same_class = same_class(labels);
    Comparisons {
        positives: distances.clone(),
        positive_mask: others_of_class(same_class.clone()),
        negatives: distances,
        negative_mask: same_class.bool_not(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;

    #[test]
    fn image_is_neither_its_own_positive_nor_its_negative() {
        let rows = Kind::Random.rows(2, 8, 7);
        let labels = Tensor::from_data([0, 0, 1, 2], &Default::default());
        let comparisons = compare(tensor::<TestBackend>(&rows), labels);
        #[rustfmt::skip]
        let positives = [
            false, true, false, false,
            true, false, false, false,
            false, false, false, false,
            false, false, false, false,
        ];
        #[rustfmt::skip]
        let negatives = [
            false, false, true, true,
            false, false, true, true,
            true, true, false, true,
            true, true, true, false,
        ];
        let flags = |mask: Tensor<TestBackend, 2, burn::tensor::Bool>| {
            mask.into_data().iter::<bool>().collect::<Vec<_>>()
        };
        assert_eq!(flags(comparisons.positive_mask), positives);
        assert_eq!(flags(comparisons.negative_mask), negatives);
    }
}
