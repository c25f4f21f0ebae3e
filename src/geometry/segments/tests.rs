//! Segments compared with a dense grid in `f64`.

use burn::tensor::Bool;
use proptest::prelude::*;

use super::*;
use crate::geometry::oracle::*;
use crate::geometry::test_batches::Kind;

/// Returns the distance of the first two segments.
fn first_distance(rows: &Rows) -> f64 {
    values(segment_distances(tensor::<TestBackend>(rows)))[1]
}

/// Returns the distance of two segments given by their four ends, and its gradient with respect to the
/// ends.
fn distance_and_gradient(rows: [[f32; 3]; 4]) -> (f64, Vec<f64>) {
    let leaf = tensor::<TestAutodiff>(&rows.map(Vec::from).into()).require_grad();
    let distance = segment_distances(leaf.clone()).slice([0..1, 1..2]);
    let gradient = leaf.grad(&distance.backward()).unwrap();
    (values(distance)[0], values(gradient))
}

#[test]
fn distances_of_segments_of_every_kind_agree_with_a_dense_grid() {
    const PAIRS: usize = 5;
    // Three times the rounding of a distance of 6, the largest here, to `f32`.
    const TOLERANCE: f64 = 1e-6;

    for (dim, seeds) in [(2, 0..3), (3, 0..3), (8, 0..3), (64, 2..3)] {
        for (kind, seed) in seeds.flat_map(|seed| Kind::ALL.map(|kind| (kind, seed))) {
            let rows = kind.stretched_rows(PAIRS, dim, seed);
            let actual = values(segment_distances(tensor::<TestBackend>(&rows)));
            let rows = widened(&rows);
            for (i, j) in (0..PAIRS).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let expected = segment_distance(
                    [&rows[2 * i], &rows[2 * i + 1]],
                    [&rows[2 * j], &rows[2 * j + 1]],
                );
                for actual in [actual[i * PAIRS + j], actual[j * PAIRS + i]] {
                    assert!(
                        (actual - expected).abs() <= TOLERANCE,
                        "{kind:?} in {dim} dimensions, segments {i} and {j} of seed {seed}: \
                         {actual} instead of {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences_of_the_dense_grid() {
    // Without the kinds whose segments touch or are parallel: they have no gradient to compare.
    for kind in [Kind::Random, Kind::Clustered, Kind::Collapsed] {
        for (dim, seed) in [(3, 0), (3, 1), (5, 2)] {
            let rows = kind.stretched_rows(3, dim, seed);
            let wide = widened(&rows);
            let distance = |rows: &[Vec<f64>]| expected_sum(segment_distance, rows);
            // Small relative to segments of 1e-3 that are 1 apart, along which the closest point moves
            // a thousand times as far as their ends do; large relative to the rounding of `f64`.
            let expected = numeric_gradient(distance, &wide, 1e-8);
            let error = relative_error(&weighted_sum(segment_distances, &rows).1, &expected);
            assert!(
                error <= 1e-3,
                "{kind:?} in {dim} dimensions, seed {seed}: {error}"
            );
        }
    }
}

#[test]
fn gradients_are_finite_for_segments_of_every_kind() {
    for dim in [2, 3, 8, 64, 512] {
        for (kind, seed) in (3..6).flat_map(|seed| Kind::ALL.map(|kind| (kind, seed))) {
            let rows = kind.stretched_rows(16, dim, seed);
            let (value, gradient) = weighted_sum(segment_distances, &rows);
            assert!(value.is_finite(), "{kind:?} in {dim} dimensions");
            assert!(
                gradient.iter().all(|x| x.is_finite()),
                "{kind:?} in {dim} dimensions"
            );
        }
    }
}

#[test]
fn parallel_segments_side_by_side_are_as_far_apart_as_their_lines() {
    let rows = [
        [0.0, 0.0, 0.0],
        [2.0, 0.0, 0.0],
        [1.0, 3.0, 0.0],
        [5.0, 3.0, 0.0],
    ];
    let (distance, gradient) = distance_and_gradient(rows);
    assert!((distance - 3.0).abs() < 1e-6);
    // The choice among the points side by side is open, but the sum over the ends of a segment is not.
    assert!((gradient[1] + gradient[4] + 1.0).abs() < 1e-6);
    assert!((gradient[7] + gradient[10] - 1.0).abs() < 1e-6);
    let along = [0, 2, 3, 5, 6, 8, 9, 11].map(|k| gradient[k]);
    assert!(along.iter().all(|x| x.abs() < 1e-6));
}

#[test]
fn parallel_segments_apart_are_nearest_at_their_ends() {
    let rows = [
        [-3.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
        [3.0, 4.0, 0.0],
        [7.0, 4.0, 0.0],
    ];
    let (distance, gradient) = distance_and_gradient(rows);
    assert!((distance - 5.0).abs() < 1e-6);
    let expected = [0.0, 0.0, 0.0, -0.6, -0.8, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 0.0];
    assert!(point_distance(&gradient, &expected) < 1e-6);
}

#[test]
fn collinear_segments_are_nearest_at_their_ends() {
    let rows = [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [5.0, 0.0, 0.0],
        [3.0, 0.0, 0.0],
    ];
    let (distance, gradient) = distance_and_gradient(rows);
    assert!((distance - 2.0).abs() < 1e-6);
    let expected = [0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    assert!(point_distance(&gradient, &expected) < 1e-6);
}

#[test]
fn point_beside_a_segment_is_nearest_to_its_foot() {
    // The foot is a quarter of the way along.
    let rows = [
        [1.0, 2.0, 0.0],
        [1.0, 2.0, 0.0],
        [0.0, 0.0, 0.0],
        [4.0, 0.0, 0.0],
    ];
    let (distance, gradient) = distance_and_gradient(rows);
    assert!((distance - 2.0).abs() < 1e-6);
    let of_foot = [0.0, -0.75, 0.0, 0.0, -0.25, 0.0];
    assert!(point_distance(&gradient[6..], &of_foot) < 1e-6);
    // Both ends are the point, so the sum of their gradients is that of the point.
    assert!((gradient[1] + gradient[4] - 1.0).abs() < 1e-6);
}

#[test]
fn two_points_have_the_distance_of_points() {
    let rows = [
        [1.0, 2.0, 2.0],
        [1.0, 2.0, 2.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
    ];
    let (distance, gradient) = distance_and_gradient(rows);
    assert!((distance - 3.0).abs() < 1e-6);
    let of_both = |k: usize| gradient[k] + gradient[k + 3];
    let expected = [1.0, 2.0, 2.0].map(|x| x / 3.0);
    assert!(point_distance(&[0, 1, 2].map(of_both), &expected) < 1e-6);
}

#[test]
fn segments_that_touch_have_distance_zero_and_gradient_zero() {
    let crossing = [
        [1.0, 0.0, 1.0],
        [-1.0, 0.0, 1.0],
        [0.0, 1.0, 1.0],
        [0.0, -3.0, 1.0],
    ];
    let sharing_an_end = [
        [1.0, 0.0, 0.0],
        [0.0, 2.0, 0.0],
        [0.0, 2.0, 0.0],
        [1.0, 1.0, 1.0],
    ];
    let overlapping = [
        [0.0, 0.0, 1.0],
        [2.0, 2.0, 1.0],
        [1.0, 1.0, 1.0],
        [4.0, 4.0, 1.0],
    ];
    let point_inside = [
        [0.0, 0.0, 1.0],
        [2.0, 2.0, 1.0],
        [0.5, 0.5, 1.0],
        [0.5, 0.5, 1.0],
    ];
    for rows in [crossing, sharing_an_end, overlapping, point_inside] {
        assert_eq!(
            distance_and_gradient(rows),
            (0.0, vec![0.0; 12]),
            "{rows:?}"
        );
    }
}

#[test]
fn segment_touches_itself_with_gradient_zero() {
    let rows = Kind::Random.rows(8, 64, 1);
    let leaf = tensor::<TestAutodiff>(&rows).require_grad();
    let others = Tensor::<TestAutodiff, 2, Bool>::diag_mask([8, 8], 0, &leaf.device());
    let own = segment_distances(leaf.clone()).mask_fill(others, 0.0);
    assert_eq!(values(own.clone()), [0.0; 64]);
    let gradient = leaf.grad(&own.sum().backward()).unwrap();
    assert!(values(gradient).iter().all(|&x| x == 0.0));
}

/// Two segments of any kind.
fn two_segments() -> impl Strategy<Value = Rows> {
    let kind = prop::sample::select(&Kind::ALL[..]);
    (kind, 2..40usize, any::<u64>()).prop_map(|(kind, dim, seed)| kind.stretched_rows(2, dim, seed))
}

proptest! {
    #[test]
    fn distance_is_symmetric_in_the_segments_and_in_their_ends(rows in two_segments()) {
        let expected = first_distance(&rows);
        for order in [[2, 3, 0, 1], [1, 0, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]] {
            let reordered = order.map(|k: usize| rows[k].clone()).to_vec();
            prop_assert!((first_distance(&reordered) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn distance_does_not_exceed_that_of_any_two_ends(rows in two_segments()) {
        let ends = widened(&rows);
        for (i, j) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            prop_assert!(first_distance(&rows) <= point_distance(&ends[i], &ends[j]) + 1e-6);
        }
    }

    #[test]
    fn distance_is_unchanged_by_rotations_and_translations(
        rows in two_segments(),
        angle in 0.0..6.3f64,
        shift in -1.0..1.0f32,
    ) {
        let mut moved = turned(&rows, angle);
        moved.iter_mut().for_each(|row| row[0] += shift);
        // The rounding of the moved rows to `f32` moves the segments.
        prop_assert!((first_distance(&moved) - first_distance(&rows)).abs() < 3e-6);
    }
}
