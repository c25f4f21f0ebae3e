//! Arcs compared with a dense grid in `f64`.

use burn::tensor::Bool;

use super::*;
use crate::geometry::oracle::*;
use crate::geometry::test_batches::Kind;
use proptest::prelude::*;

fn distances<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 2> {
    arc_approach(rows, Measure::Distance)
}

/// The distance of the first two arcs.
fn first_distance(rows: &Rows) -> f64 {
    values(distances(tensor::<TestBackend>(rows)))[1]
}

#[test]
fn distances_of_arcs_of_every_kind_agree_with_a_dense_grid() {
    const PAIRS: usize = 16;
    // The error in `f64` for arcs that are nearly half circles, whose planes are defined by few digits.
    // All other kinds are within 3e-7.
    const TOLERANCE: f64 = 1e-5;

    for dim in [2, 3, 8, 64, 512] {
        for kind in Kind::ALL {
            for seed in 0..2 {
                let rows = kind.rows(PAIRS, dim, seed);
                let actual = values(distances(tensor::<TestBackend>(&rows)));
                let rows = widened(&rows);
                for i in 0..PAIRS {
                    for j in 0..i {
                        let expected = arc_distance(
                            [&rows[2 * i], &rows[2 * i + 1]],
                            [&rows[2 * j], &rows[2 * j + 1]],
                        );
                        let actual = actual[i * PAIRS + j];
                        assert!(
                            (actual - expected).abs() <= TOLERANCE,
                            "{kind:?} in {dim} dimensions, arcs {i} and {j} of seed {seed}: \
                             {actual} instead of {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences_of_the_dense_grid() {
    // Without the kinds whose arcs all touch: they have no gradient to compare.
    for kind in [
        Kind::Random,
        Kind::Clustered,
        Kind::Collapsed,
        Kind::NearIdentical,
        Kind::NearAntipodal,
    ] {
        for (dim, seed) in [(2, 0), (3, 1), (8, 3), (8, 4)] {
            let mut rows = kind.rows(4, dim, seed);
            if kind == Kind::NearAntipodal {
                // Arcs opposite to each other have two closest approaches, so no gradient is defined.
                rows.truncate(2);
                rows.extend(Kind::Random.rows(3, dim, seed + 10));
            }
            let wide = widened(&rows);
            // Small relative to the arcs and to the distance of their ends from opposite, but large
            // relative to the rounding of `f64`.
            let room = (0..4)
                .map(|i| (&wide[2 * i], &wide[2 * i + 1]))
                .map(|(x, y)| point_distance(x, y).min(4.0 - point_distance(x, y).powi(2)))
                .fold(1e-3, f64::min);
            if room < 1e-5 {
                continue;
            }
            let expected =
                numeric_gradient(|rows| expected_sum(arc_distance, rows), &wide, 1e-2 * room);
            let error = relative_error(&weighted_sum(distances, &rows).1, &expected);
            assert!(
                error <= 1e-3,
                "{kind:?} in {dim} dimensions, seed {seed}: {error}"
            );
        }
    }
}

#[test]
fn gradients_are_finite_for_arcs_of_every_kind() {
    for dim in [2, 3, 8, 64, 512] {
        for kind in Kind::ALL {
            let (value, gradient) = weighted_sum(distances, &kind.rows(16, dim, 5));
            assert!(value.is_finite(), "{kind:?} in {dim} dimensions");
            assert!(
                gradient.iter().all(|x| x.is_finite()),
                "{kind:?} in {dim} dimensions"
            );
        }
    }
}

#[test]
fn identical_pair_is_a_point_and_both_ends_share_its_gradient() {
    let point = vec![0.6, 0.8, 0.0];
    let rows = vec![
        point.clone(),
        point,
        vec![0.0, 0.0, 1.0],
        vec![0.0, 0.0, 1.0],
    ];
    assert!((first_distance(&rows) - f64::sqrt(2.0)).abs() < 1e-6);
    let (_, gradient) = weighted_sum(distances, &rows);
    assert!(gradient[..3].iter().any(|x| x.abs() > 0.1));
    assert_eq!(gradient[..3], gradient[3..6]);
}

#[test]
fn crossing_arcs_touch_with_gradient_zero() {
    let rows = vec![
        vec![0.8, 0.6, 0.0],
        vec![0.8, -0.6, 0.0],
        vec![0.8, 0.0, 0.6],
        vec![0.8, 0.0, -0.6],
    ];
    assert_eq!(first_distance(&rows), 0.0);
    assert!(weighted_sum(distances, &rows).1.iter().all(|&x| x == 0.0));
}

#[test]
fn arc_touches_itself_with_gradient_zero() {
    let rows = Kind::Random.rows(8, 64, 1);
    let leaf = tensor::<TestAutodiff>(&rows).require_grad();
    let others = Tensor::<TestAutodiff, 2, Bool>::diag_mask([8, 8], 0, &leaf.device());
    let own = distances(leaf.clone()).mask_fill(others, 0.0);
    assert_eq!(values(own.clone()), [0.0; 64]);
    let gradient = leaf.grad(&own.sum().backward()).unwrap();
    assert!(values(gradient).iter().all(|&x| x == 0.0));
}

#[test]
fn antipodal_pair_consists_of_its_two_ends() {
    let rows = vec![
        vec![1.0, 0.0, 0.0],
        vec![-1.0, 0.0, 0.0],
        vec![-0.6, 0.8, 0.0],
        vec![-0.6, 0.8, 0.0],
    ];
    let nearer_end = f64::sqrt(0.4 * 0.4 + 0.8 * 0.8);
    assert!((first_distance(&rows) - nearer_end).abs() < 1e-6);
}

#[test]
fn rows_of_zeros_stay_finite() {
    let rows = vec![
        vec![0.0; 3],
        vec![0.0; 3],
        vec![1.0, 0.0, 0.0],
        vec![0.0; 3],
    ];
    let (value, gradient) = weighted_sum(distances, &rows);
    assert!(value.is_finite() && gradient.iter().all(|x| x.is_finite()));
}

#[test]
fn lengths_of_rows_have_no_effect() {
    let rows = Kind::Random.rows(2, 8, 9);
    let longer: Rows = rows
        .iter()
        .map(|row| row.iter().map(|x| 4.0 * x).collect())
        .collect();
    assert!((first_distance(&rows) - first_distance(&longer)).abs() < 1e-6);
}

/// Two arcs with random, near or opposite ends.
fn two_arcs() -> impl Strategy<Value = Rows> {
    let kind = prop::sample::select(&[
        Kind::Random,
        Kind::Clustered,
        Kind::Crossing,
        Kind::NearIdentical,
        Kind::Repeated,
        Kind::Coplanar,
    ]);
    (kind, 2..40usize, any::<u64>()).prop_map(|(kind, dim, seed)| kind.rows(2, dim, seed))
}

proptest! {
    #[test]
    fn distance_is_symmetric_in_the_arcs_and_in_their_ends(rows in two_arcs()) {
        let expected = first_distance(&rows);
        for order in [[2, 3, 0, 1], [1, 0, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]] {
            let reordered = order.map(|k: usize| rows[k].clone()).to_vec();
            prop_assert!((first_distance(&reordered) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn distance_does_not_exceed_that_of_any_two_ends(rows in two_arcs()) {
        let ends = widened(&rows);
        for (i, j) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
            prop_assert!(first_distance(&rows) <= point_distance(&ends[i], &ends[j]) + 1e-6);
        }
    }

    #[test]
    fn distance_is_unchanged_by_rotations(rows in two_arcs(), angle in 0.0..6.3f64) {
        // The rounding of the turned rows to `f32` moves the arcs.
        prop_assert!((first_distance(&turned(&rows, angle)) - first_distance(&rows)).abs() < 1e-5);
    }
}
