//! Products and distances on simulated devices without `f64` and with TF32.

use burn::tensor::{FloatDType, Tensor};

use super::{SplitRows, live_products};
use crate::geometry::oracle::*;
use crate::geometry::simulated_device::{Device, WITHOUT_F64, on, to_device_precision};
use crate::geometry::test_batches::{Kind, near};
use crate::geometry::{
    Measure, arc_approach, inner_point_approach, point_distances, segment_distances, transpose,
    widen,
};

type Matrix = Tensor<TestAutodiff, 2>;

/// Computes a matrix on a simulated device, and the gradient of its weighted sum.
fn computed(device: Device, f: impl Fn(Matrix) -> Matrix, rows: &Rows) -> (Vec<f64>, Vec<f64>) {
    on(device, || {
        let matrix = values(f(tensor::<TestAutodiff>(rows)));
        (matrix, weighted_sum(f, rows).1)
    })
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

#[test]
fn plain_tf32_product_has_an_error_above_the_published_margin() {
    // Shows that the tests below can fail: the plain product of factors rounded to TF32.
    let rows = near(8, 512, 0.05, 0.02);
    let x = tensor::<TestBackend>(&rows);
    let rounded = on(Device::Tf32, || to_device_precision(&x));
    let product = values(rounded.clone().matmul(transpose(rounded)));
    let wide = widened(&rows);
    let error = (0..256)
        .map(|k| (product[k] - dot(&wide[k / 16], &wide[k % 16])).abs())
        .fold(0.0, f64::max);
    assert!(error > 1e-5, "{error}");
}

#[test]
fn distances_of_points_are_right_to_1e_6_without_f64() {
    for device in WITHOUT_F64 {
        for (dim, kind) in [2, 3, 24, 512]
            .into_iter()
            .flat_map(|dim| Kind::ALL.map(|kind| (dim, kind)))
        {
            for rows in [kind.rows(16, dim, 2), kind.stretched_rows(16, dim, 2)] {
                let (actual, _) = computed(device, point_distances, &rows);
                let rows = widened(&rows);
                let longest = rows.iter().map(|x| dot(x, x).sqrt()).fold(1.0, f64::max);
                for (k, actual) in actual.iter().enumerate() {
                    let expected = point_distance(&rows[k / 32], &rows[k % 32]);
                    assert!(
                        (actual - expected).abs() <= 1e-6 * longest,
                        "{device:?}, {kind:?}, {dim}: {actual} instead of {expected}"
                    );
                }
            }
        }
    }
}

type Approach = (&'static str, fn(Matrix) -> Matrix);

const APPROACHES: [Approach; 4] = [
    ("points", |rows| between_halves(point_distances(rows))),
    ("arcs", |rows| {
        between_halves(arc_approach(rows, Measure::Distance))
    }),
    ("inner points", |rows| {
        between_halves(inner_point_approach(rows, 2, true, Measure::Distance))
    }),
    ("segments", |rows| between_halves(segment_distances(rows))),
];

/// The entries between the first half of the pairs and the second half.
fn between_halves(matrix: Matrix) -> Matrix {
    let [rows, _] = matrix.dims();
    matrix.slice([0..rows / 2, rows / 2..rows])
}

#[test]
fn distances_in_a_collapsing_batch_are_right_without_f64() {
    for (all, spread) in [(1.0, 0.5), (0.05, 0.02), (0.005, 0.002)] {
        let rows = near(16, 512, all, spread);
        for (name, approach) in APPROACHES {
            let (expected, of_expected) = computed(Device::Wide, approach, &rows);
            for device in WITHOUT_F64 {
                let (actual, gradient) = computed(device, approach, &rows);
                let error = largest_difference(&actual, &expected);
                // The search for the nearest points does not resolve 1e-7 of their cosine, which is up to
                // 1e-7/d at a distance d. Few pairs are that close.
                let allowed = f64::max(1e-5, 1e-7 / all);
                assert!(
                    error <= allowed,
                    "{name} within {all} on {device:?}: {error}"
                );
                // Within 0.005 some pairs have several nearest points to within rounding. The gradient is
                // then that of another inner point or end at the same distance.
                if all < 0.01 {
                    continue;
                }
                let error = relative_error(&gradient, &of_expected);
                let what = format!("gradient of {name} within {all} on {device:?}");
                assert!(error <= 1e-3, "{what}: {error}");
            }
        }
    }
}

#[test]
fn distances_above_a_tenth_are_right_to_1e_5_without_f64() {
    for kind in [
        Kind::Random,
        Kind::Clustered,
        Kind::Collapsed,
        Kind::Repeated,
        Kind::Coplanar,
    ] {
        for dim in [2, 8, 64, 512] {
            let rows = kind.rows(12, dim, 5);
            for (name, approach) in APPROACHES {
                let (expected, _) = computed(Device::Wide, approach, &rows);
                for device in WITHOUT_F64 {
                    let (actual, _) = computed(device, approach, &rows);
                    for (actual, expected) in actual.iter().zip(&expected) {
                        // Near 0, an error of 1e-6 in the square is an error of 1e-3 in the distance.
                        let allowed = if *expected > 0.1 { 1e-5 } else { 1e-3 };
                        assert!(
                            (actual - expected).abs() <= allowed,
                            "{name}, {kind:?}, {dim}, {device:?}: {actual} instead of {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn live_products_have_the_gradient_of_the_plain_product() {
    let rows = Kind::Random.rows(8, 48, 3);
    let gradient = |device: Device, length: f32| {
        let longer = |row: &Vec<f32>| row.iter().map(|x| length * x).collect();
        let rows: Rows = rows.iter().map(longer).collect();
        let product = |rows: Matrix| {
            let rows = widen(rows);
            let split = SplitRows::from_rows(rows.clone());
            live_products(rows, &split).cast(FloatDType::F32)
        };
        computed(device, product, &rows).1
    };
    for length in [1.0, 40.0] {
        let expected = gradient(Device::Wide, length);
        // 24 bits of the rows and of the gradient.
        let error = relative_error(&gradient(Device::Single, length), &expected);
        assert!(error <= 1e-6, "{length}: {error}");
    }
}
