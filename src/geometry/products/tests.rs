//! Products and distances where the device has `f32` alone, or TF32.

use std::cell::Cell;

use burn::tensor::{FloatDType, Tensor, TensorData, backend::Backend};

use super::{SplitRows, live_products};
use crate::geometry::oracle::*;
use crate::geometry::{
    Measure, arc_approach, inner_point_approach, point_distances, segment_distances, transpose,
    widen,
};

/// What a GPU computes with, on the CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Device {
    /// `f64`.
    Wide,
    /// `f32`, no `f64`.
    Single,
    /// As `Single`, with the factors of matrix products rounded to TF32.
    Tf32,
}

thread_local! {
    static DEVICE: Cell<Device> = const { Cell::new(Device::Wide) };
}

/// Whether this thread plays a device without `f64`.
pub(crate) fn has_no_f64() -> bool {
    DEVICE.get() != Device::Wide
}

/// A factor of a matrix product as the device of this thread reads it.
pub(super) fn in_the_devices_precision<B: Backend>(factor: &Tensor<B, 2>) -> Tensor<B, 2> {
    if DEVICE.get() != Device::Tf32 {
        return factor.clone();
    }
    let shape = factor.dims();
    let values: Vec<f32> = factor.to_data().convert::<f32>().into_vec().unwrap();
    // Ten explicit bits of the mantissa, rounded to nearest.
    let rounded: Vec<f32> = values
        .into_iter()
        .map(|x| f32::from_bits((x.to_bits() + (1 << 12)) & !((1 << 13) - 1)))
        .collect();
    Tensor::from_data(TensorData::new(rounded, shape), &factor.device())
}

/// What `f` gives where this thread plays `device`.
pub(crate) fn on<T>(device: Device, f: impl FnOnce() -> T) -> T {
    DEVICE.set(device);
    let result = f();
    DEVICE.set(Device::Wide);
    result
}

/// The devices without `f64`.
pub(crate) const WITHOUT_F64: [Device; 2] = [Device::Single, Device::Tf32];

type Matrix = Tensor<TestAutodiff, 2>;

/// Values, and the gradient of their weighted sum.
fn computed(device: Device, f: impl Fn(Matrix) -> Matrix, rows: &Rows) -> (Vec<f64>, Vec<f64>) {
    on(device, || {
        let matrix = values(f(tensor::<TestAutodiff>(rows)));
        (matrix, weighted_sum(f, rows).1)
    })
}

/// Pairs within about `spread`, all within about `all` of one point.
pub(crate) fn near(pairs: usize, dim: usize, all: f64, spread: f64) -> Rows {
    let mut draws = Draws::new(7);
    let centre = draws.direction(dim);
    let mut rows = Rows::new();
    for _ in 0..pairs {
        let class = draws.direction(dim);
        for _ in 0..2 {
            let own = draws.direction(dim);
            let row: Vec<f64> = (0..dim)
                .map(|k| centre[k] + all * class[k] + spread * own[k])
                .collect();
            rows.push(unit(&row).into_iter().map(|x| x as f32).collect());
        }
    }
    rows
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

#[test]
fn tf32_alone_would_swallow_the_published_margin() {
    // That the tests below can fail: the product as it is, of factors rounded to TF32.
    let rows = near(8, 512, 0.05, 0.02);
    let x = tensor::<TestBackend>(&rows);
    let rounded = on(Device::Tf32, || in_the_devices_precision(&x));
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

/// What stands between the first half of the pairs and the second: nothing with itself.
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
                // The search for the nearest points does not distinguish 1e-7 of their cosine, which at
                // a distance d is up to 1e-7/d; few pairs are that undecided.
                let allowed = f64::max(1e-5, 1e-7 / all);
                assert!(
                    error <= allowed,
                    "{name} within {all} on {device:?}: {error}"
                );
                // Within 0.005 the nearest points of some pairs are undecided: another inner point or end,
                // as near, has the gradient.
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
                        // A square that is wrong by 1e-6 is a distance wrong by 1e-3 near 0.
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
fn gradient_of_live_products_is_that_of_the_plain_product() {
    let rows = Kind::Random.rows(8, 48, 3);
    let gradient = |device: Device, length: f32| {
        let longer = |row: &Vec<f32>| row.iter().map(|x| length * x).collect();
        let rows: Rows = rows.iter().map(longer).collect();
        let product = |rows: Matrix| {
            let rows = widen(rows);
            let split = SplitRows::of(rows.clone());
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
