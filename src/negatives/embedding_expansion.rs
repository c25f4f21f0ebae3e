//! Embedding Expansion: negatives include points between two images of a class (arXiv 2003.02546).
//!
//! Between the images x₁ and x₂ of a pair there are n inner points (section 3.1)
//!
//! ```text
//! p = (k x₂ + (n + 1 − k) x₁)/(n + 1),   k = 1 … n,
//! ```
//!
//! scaled to unit length on the sphere. The candidates of an image are the image and the n inner points
//! of its pair. The negative distance of two images of different classes is the smallest between their
//! candidates p and q:
//!
//! ```text
//! d⁻ = min over p, q of |p − q|
//! ```

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use super::comparisons::{Comparisons, both};
use super::none;
use super::space::Space;
use crate::geometry::{Measure, inner_point_approach};

/// Compares every image with every other: each image is an anchor (A = N). Its positives are the other
/// images of its class, without inner points. Its negatives are the images of other classes
/// (Kp = Kn = N), each with the value of the nearest candidates of the two images.
///
/// Rows 2i and 2i + 1 of different classes are not a pair. The only candidate of their images is the image itself.
pub(super) fn compare<B: Backend>(
    embeddings: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    points: usize,
    space: Space,
    measure: Measure,
) -> Comparisons<B> {
    let images = none::compare(embeddings.clone(), labels.clone(), measure);
    let normalized = space == Space::Sphere;
    let expanded = inner_point_approach(embeddings, points, normalized, measure);
    let in_pair = in_pair(labels);
    let both_in_pair = both(in_pair);
    Comparisons {
        negatives: images.negatives.mask_where(both_in_pair, expanded),
        ..images
    }
}

/// Returns whether each row and its neighbour are of one class, \[N, 1\], for labels \[N\].
fn in_pair<B: Backend>(labels: Tensor<B, 1, Int>) -> Tensor<B, 2, Bool> {
    let pairs = labels.dims()[0] / 2;
    let members = labels.reshape([pairs, 2]);
    let first = members.clone().slice([0..pairs, 0..1]);
    let second = members.slice([0..pairs, 1..2]);
    first
        .equal(second)
        .expand([pairs, 2])
        .reshape([2 * pairs, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    fn compared(labels: &[i64], points: usize) -> (Comparisons<TestBackend>, Vec<Vec<f64>>) {
        let rows = Kind::Random.rows(labels.len() / 2, 8, 7);
        let labels = Tensor::from_data(labels, &Default::default());
        let space = Space::Sphere;
        let embeddings = tensor::<TestBackend>(&rows);
        let comparisons = compare(embeddings, labels, points, space, Measure::Distance);
        (comparisons, widened(&rows))
    }

    #[test]
    fn negative_is_the_nearest_of_the_candidates_of_two_images() {
        let (comparisons, rows) = compared(&[3, 3, 5, 5], 2);
        let owned = |image: usize| {
            let (x, other) = (&rows[image], &rows[image ^ 1]);
            [0.0, 1.0, 2.0].map(|k| {
                let blend = x.iter().zip(other);
                let point: Vec<f64> = blend.map(|(x, o)| (k * o + (3.0 - k) * x) / 3.0).collect();
                unit(&point)
            })
        };
        let actual = values(comparisons.negatives);
        for i in [0, 1] {
            for j in [2, 3] {
                let all = owned(i).map(|p| owned(j).map(|q| point_distance(&p, &q)));
                let nearest = all.concat().into_iter().fold(f64::INFINITY, f64::min);
                assert!((actual[4 * i + j] - nearest).abs() < 1e-6, "{i}, {j}");
                assert!((actual[4 * j + i] - nearest).abs() < 1e-6, "{j}, {i}");
            }
        }
    }

    #[test]
    fn positives_do_not_use_inner_points() {
        let (comparisons, rows) = compared(&[3, 3, 3, 3], 5);
        let actual = values(comparisons.positives);
        assert!((actual[2] - point_distance(&rows[0], &rows[2])).abs() < 1e-6);
    }

    #[test]
    fn images_without_a_pair_have_no_inner_points() {
        let (comparisons, rows) = compared(&[0, 0, 1, 2, 3, 3], 3);
        let actual = values(comparisons.negatives);
        for (i, j) in [(0, 2), (2, 3), (3, 5)] {
            let expected = point_distance(&rows[i], &rows[j]);
            assert!((actual[6 * i + j] - expected).abs() < 1e-6, "{i}, {j}");
        }
        assert!(actual[4] < point_distance(&rows[0], &rows[4]));
    }
}
