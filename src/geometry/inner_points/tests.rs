//! Inner points compared with the curves between images.

use super::*;
use crate::geometry::measure::Measure;
use crate::geometry::oracle::*;
use crate::geometry::test_batches::Kind;
use crate::geometry::{arc_approach, segment_distances};

const PAIRS: usize = 6;

/// Returns the smallest distance between any two points of two pairs, \[P, P\].
fn distances_of_pairs(rows: &Rows, points: usize, normalized: bool) -> Vec<f64> {
    let images = tensor::<TestBackend>(rows);
    let images = inner_point_approach(images, points, normalized, Measure::Distance);
    let of_first = images.reshape([PAIRS, 2, 2 * PAIRS]).min_dim(1);
    let of_both = of_first.reshape([PAIRS * PAIRS, 2]).min_dim(1);
    values(of_both)
}

/// Returns the largest distance, along the curve between two ends, of a point of the curve from the
/// nearest point of a grid of `points`.
fn half_step(x: &[f64], y: &[f64], points: usize, normalized: bool) -> f64 {
    let distance = point_distance(x, y);
    let step = distance / (points + 1) as f64;
    if normalized {
        // The steps have the largest angle at the middle of the chord, at distance |x + y|/2 from the
        // centre.
        let opposite: Vec<f64> = y.iter().map(|y| -y).collect();
        step.atan2(point_distance(x, &opposite) / 2.0) / 2.0
    } else {
        step / 2.0
    }
}

#[test]
fn distances_decrease_to_those_of_the_curves_as_the_grid_grows() {
    // The accuracy for arcs that are nearly half circles.
    const TOLERANCE: f64 = 1e-5;

    for (dim, normalized) in [(3, true), (16, true), (3, false), (16, false)] {
        for kind in Kind::ALL {
            let rows = kind.rows(PAIRS, dim, 8);
            let wide = widened(&rows);
            let curves = tensor::<TestBackend>(&rows);
            let curves = values(if normalized {
                arc_approach(curves, Measure::Distance)
            } else {
                segment_distances(curves)
            });
            let mut coarser = vec![f64::INFINITY; PAIRS * PAIRS];
            // Each grid contains the points of the previous one.
            for points in [1, 3, 7, 15, 63] {
                let grid = distances_of_pairs(&rows, points, normalized);
                let step = |i: usize| half_step(&wide[2 * i], &wide[2 * i + 1], points, normalized);
                let pairs = (0..PAIRS).flat_map(|i| (0..PAIRS).map(move |j| (i, j)));
                for (i, j) in pairs.filter(|(i, j)| i != j) {
                    let k = i * PAIRS + j;
                    let case = format!(
                        "{kind:?} in {dim} dimensions, pairs {i} and {j}, {points} points: {} \
                         on the grid, {} on the curves",
                        grid[k], curves[k]
                    );
                    assert!(grid[k] >= curves[k] - TOLERANCE, "below: {case}");
                    assert!(grid[k] <= coarser[k] + 1e-6, "rises: {case}");
                    assert!(
                        grid[k] <= curves[k] + step(i) + step(j) + TOLERANCE,
                        "far: {case}"
                    );
                }
                coarser = grid;
            }
        }
    }
}

#[test]
fn gradients_are_finite_for_pairs_of_every_kind() {
    for (dim, normalized) in [(2, true), (64, true), (2, false), (64, false)] {
        for (kind, points) in [2, 3].into_iter().flat_map(|n| Kind::ALL.map(|k| (k, n))) {
            for measure in [Measure::Distance, Measure::InnerProduct] {
                let approach = |rows| inner_point_approach(rows, points, normalized, measure);
                let (value, gradient) = weighted_sum(approach, &kind.rows(8, dim, 5));
                assert!(
                    value.is_finite() && gradient.iter().all(|x| x.is_finite()),
                    "{kind:?} in {dim} dimensions, {points} points, {measure:?}"
                );
            }
        }
    }
}

#[test]
fn middle_of_opposite_images_has_no_direction_and_is_excluded() {
    let rows = vec![
        vec![1.0, 0.0, 0.0],
        vec![-1.0, 0.0, 0.0],
        vec![-0.6, 0.8, 0.0],
        vec![-0.6, 0.8, 0.0],
    ];
    let leaf = tensor::<TestAutodiff>(&rows).require_grad();
    let distances = inner_point_approach(leaf.clone(), 1, true, Measure::Distance);
    let between = values(distances.clone().slice([0..2, 2..3]));
    // The distances of the images themselves; a middle of length 0 would be at √2.
    let expected = [f64::sqrt(3.2), f64::sqrt(0.8)];
    assert!(point_distance(&between, &expected) < 1e-6);
    let gradient = values(leaf.grad(&distances.sum().backward()).unwrap());
    assert!(gradient.iter().all(|x| x.is_finite()));
}

#[test]
fn points_of_pairs_that_touch_have_distance_zero_and_gradient_zero() {
    let rows = vec![
        vec![0.8, 0.6, 0.0],
        vec![0.8, -0.6, 0.0],
        vec![0.8, 0.0, 0.6],
        vec![0.8, 0.0, -0.6],
    ];
    for normalized in [true, false] {
        let leaf = tensor::<TestAutodiff>(&rows).require_grad();
        let distances = inner_point_approach(leaf.clone(), 1, normalized, Measure::Distance);
        let between = distances.slice([0..2, 2..4]);
        assert_eq!(values(between.clone()), [0.0; 4]);
        let gradient = values(leaf.grad(&between.sum().backward()).unwrap());
        assert!(gradient.iter().all(|&x| x == 0.0), "{gradient:?}");
    }
}
