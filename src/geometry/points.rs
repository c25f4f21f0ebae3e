//! Euclidean distances between the rows of a matrix.

use burn::tensor::{Tensor, backend::Backend};

use super::diagonal::diagonal;
use super::envelope::{reciprocal_or_zero, with_derivative};
use super::lengths::length_of_square;
use super::precision::widen;
use super::products::{SplitRows, own_products, squared_distances};

/// Returns the Euclidean distance of every two rows: √(|x|² + |y|² − 2 x·y).
///
/// Two rows that coincide (to the rounding of `f32` for rows of unit length) have distance 0 with
/// gradient 0. Distances of unit rows are accurate to 2e-7 if the device computes in `f64`, otherwise to
/// 1e-6 (`products.rs`).
///
/// # Shapes
/// - points: \[N, D\], of any length
/// - output: \[N, N\], symmetric, diagonal 0
pub fn point_distances<B: Backend>(points: Tensor<B, 2>) -> Tensor<B, 2> {
    let dtype = points.dtype().into();
    let points = widen(points);
    let split = SplitRows::from_rows(points.clone());
    let (products, live) = own_products(points, &split);
    let value = length_of_square(products.linear(squared_distances));
    // The gradient is with respect to the row's point: row i's half of d|x − y| is
    // (x − y)·dx/|x − y|.
    let half_square = diagonal(live.clone()) - live;
    let half = half_square * reciprocal_or_zero(value.clone());
    with_derivative(value, half.clone(), half, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::oracle::*;
    use crate::geometry::test_batches::Kind;

    #[test]
    fn distances_agree_with_plain_differences() {
        for dim in [2, 3, 8, 64, 512] {
            for kind in Kind::ALL {
                let rows = kind.rows(16, dim, 2);
                let actual = values(point_distances(tensor::<TestBackend>(&rows)));
                let rows = widened(&rows);
                for i in 0..32 {
                    for j in 0..32 {
                        let expected = point_distance(&rows[i], &rows[j]);
                        let actual = actual[32 * i + j];
                        assert!(
                            (actual - expected).abs() <= 2e-7,
                            "{kind:?} in {dim} dimensions: {actual} instead of {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn gradient_is_the_direction_away_from_the_other_point() {
        let leaf = tensor::<TestAutodiff>(&vec![vec![3.0, 0.0], vec![0.0, 4.0]]).require_grad();
        let distances = point_distances(leaf.clone());
        let gradient = leaf
            .grad(&distances.slice([0..1, 1..2]).backward())
            .unwrap();
        let expected = [0.6, -0.8, -0.6, 0.8];
        assert!(point_distance(&values(gradient), &expected) < 1e-6);
    }

    #[test]
    fn identical_points_have_distance_zero_and_gradient_zero() {
        let rows = vec![Kind::Random.rows(1, 512, 3)[0].clone(); 4];
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let distances = point_distances(leaf.clone());
        assert_eq!(values(distances.clone()), [0.0; 16]);
        let gradient = leaf.grad(&distances.sum().backward()).unwrap();
        assert!(values(gradient).iter().all(|&x| x == 0.0));
    }
}
