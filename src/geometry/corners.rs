//! The largest inner product between two segments, which is the product of two of their ends.

use burn::tensor::{Tensor, backend::Backend};

use super::pair_rows::PairRows;
use super::transpose::transpose;
use crate::kernels::matmul;

/// Returns the largest inner product of a point of one segment with a point of another, for every two
/// segments; segment i runs from row 2i of the embeddings to row 2i + 1.
///
/// The inner product is linear in each of the two points, so its largest value is at one of the four
/// corners, which are pairs of ends. Of several largest products, one receives the gradient.
///
/// # Shapes
/// - embeddings: \[2P, D\]
/// - output: \[P, P\], symmetric
///
/// # Panics
/// If the number of rows is odd.
pub fn corner_products<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, _] = embeddings.dims();
    assert!(
        rows.is_multiple_of(2),
        "rows 2i and 2i + 1 are the ends of a segment, but there are {rows}"
    );
    let pairs = rows / 2;
    matmul(embeddings.clone(), transpose(embeddings))
        .reshape([pairs, 2, rows])
        .max_dim(1)
        .reshape([pairs * pairs, 2])
        .max_dim(1)
        .reshape([pairs, pairs])
}

/// [`corner_products`] of the segments of any pairs of rows, \[P, P\].
pub(crate) fn corner_products_of_pairs<B: Backend>(
    embeddings: Tensor<B, 2>,
    pairs: &PairRows<B>,
) -> Tensor<B, 2> {
    let products = matmul(embeddings.clone(), transpose(embeddings));
    pairs.larger(pairs.larger(products, 0), 1)
}

/// Returns the largest inner product of every row with a point of the segment of every pair of rows, which is that
/// with one of its ends, \[N, P\].
pub(crate) fn corner_products_of_points<B: Backend>(
    embeddings: Tensor<B, 2>,
    pairs: &PairRows<B>,
) -> Tensor<B, 2> {
    let products = matmul(embeddings.clone(), transpose(embeddings));
    pairs.larger(products, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    /// The pairs of ends of two segments.
    const CORNERS: [(usize, usize); 4] = [(0, 2), (0, 3), (1, 2), (1, 3)];

    /// Returns the largest product of the two segments, and its gradient with respect to the four ends.
    fn product_and_gradient(rows: &Rows) -> (f64, Vec<f64>) {
        let leaf = tensor::<TestAutodiff>(rows).require_grad();
        let product = corner_products(leaf.clone()).slice([0..1, 1..2]);
        let gradient = leaf.grad(&product.backward()).unwrap();
        (values(product)[0], values(gradient))
    }

    #[test]
    fn product_is_the_largest_of_the_four_pairs_of_ends() {
        for dim in [2, 8, 64] {
            for (kind, seed) in (0..3).flat_map(|seed| Kind::ALL.map(|kind| (kind, seed))) {
                let rows = kind.stretched_rows(6, dim, seed);
                let actual = values(corner_products(tensor::<TestBackend>(&rows)));
                let rows = widened(&rows);
                for (i, j) in (0..6).flat_map(|i| (0..6).map(move |j| (i, j))) {
                    let products =
                        CORNERS.map(|(x, y)| dot(&rows[2 * i + x], &rows[2 * j + y - 2]));
                    let expected = products.into_iter().fold(f64::NEG_INFINITY, f64::max);
                    // The rounding of products up to 9 in `f32`.
                    assert!(
                        (actual[6 * i + j] - expected).abs() <= 3e-6,
                        "{kind:?} in {dim} dimensions, segments {i} and {j} of seed {seed}"
                    );
                }
            }
        }
    }

    #[test]
    fn products_of_points_between_the_ends_are_not_larger() {
        let rows = Kind::Random.stretched_rows(2, 8, 2);
        let (largest, _) = product_and_gradient(&rows);
        let rows = widened(&rows);
        let at = |first: usize, fraction: f64| -> Vec<f64> {
            let ends = rows[first].iter().zip(&rows[first + 1]);
            ends.map(|(x, y)| (1.0 - fraction) * x + fraction * y)
                .collect()
        };
        for (k, l) in (0..=16).flat_map(|k| (0..=16).map(move |l| (k, l))) {
            let product = dot(&at(0, k as f64 / 16.0), &at(2, l as f64 / 16.0));
            assert!(product <= largest + 1e-6);
        }
    }

    #[test]
    fn gradient_reaches_the_two_ends_only() {
        for seed in 0..24 {
            let rows = Kind::Random.stretched_rows(2, 5, seed);
            let wide = widened(&rows);
            let product = |&(x, y): &(usize, usize)| dot(&wide[x], &wide[y]);
            let best = CORNERS.into_iter();
            let (x, y) = best
                .max_by(|a, b| product(a).total_cmp(&product(b)))
                .unwrap();
            let mut expected = vec![vec![0.0; 5]; 4];
            expected[x] = wide[y].clone();
            expected[y] = wide[x].clone();
            let (_, gradient) = product_and_gradient(&rows);
            assert_eq!(gradient, expected.concat(), "seed {seed}");
        }
    }

    #[test]
    fn one_of_several_largest_products_receives_the_gradient() {
        let (x, y) = (vec![1.0, 2.0], vec![3.0, -1.0]);
        let (product, gradient) =
            product_and_gradient(&vec![x.clone(), x.clone(), y.clone(), y.clone()]);
        assert_eq!(product, 1.0);
        for (ends, other) in [(&gradient[..4], &y), (&gradient[4..], &x)] {
            let other: Vec<f64> = other.iter().map(|&x| f64::from(x)).collect();
            let zero = [0.0; 2];
            let [first, second] = [&ends[..2], &ends[2..]];
            assert!(
                (first == other && second == zero) || (first == zero && second == other),
                "{gradient:?}"
            );
        }
    }
}
