//! No generated negatives: anchors are compared with the images of the batch.

use burn::tensor::{Int, Tensor, backend::Backend};

use super::comparisons::{Comparisons, others_of_class, same_class, squared_lengths};
use crate::geometry::{Measure, point_distances, transpose};
use crate::kernels::matmul;

/// Compares every image with every other: each image is an anchor (A = N), its positives are the other
/// images of its class, its negatives the images of other classes (Kp = Kn = N).
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    measure: Measure,
) -> Comparisons<B> {
    let squared_lengths = squared_lengths(embeddings.clone());
    let values = match measure {
        Measure::Distance => point_distances(embeddings),
        Measure::InnerProduct => matmul(embeddings.clone(), transpose(embeddings)),
    };
    let same_class = same_class(labels);
    Comparisons {
        measure,
        positives: values.clone(),
        positive_mask: others_of_class(same_class.clone()),
        negatives: values,
        negative_mask: same_class.bool_not(),
        squared_lengths,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    #[test]
    fn image_is_neither_its_own_positive_nor_its_own_negative() {
        let rows = Kind::Random.rows(2, 8, 7);
        let labels = Tensor::from_data([0, 0, 1, 2], &Default::default());
        let comparisons = compare(tensor::<TestBackend>(&rows), labels, Measure::Distance);
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
