//! The kernels of frames: of their numbers and products, of the ends, and of gradients, compared with plain loops in
//! `f64`.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::kernels::frames::{
    PartProducts, end_products, squared_end_distances, sum_of_levels, unit_frames,
    with_row_gradient,
};

use crate::data::Draws;
use crate::{Findings, relative_error, values};

/// h, m and l with 2¹¹ x = h + 2⁻¹² m + 2⁻²⁴ l.
fn parts(rows: &[f32]) -> [Vec<f32>; 3] {
    let mut parts = [vec![], vec![], vec![]];
    for x in rows {
        let scaled = 2048.0 * x;
        let rest = 4096.0 * (scaled - scaled.round_ties_even());
        let numbers = [
            scaled.round_ties_even(),
            rest.round_ties_even(),
            rest - rest.round_ties_even(),
        ];
        for (part, number) in parts.iter_mut().zip(numbers) {
            part.push(number);
        }
    }
    parts
}

/// A matrix on the device.
fn matrix<AB: AutodiffBackend>(values: &[f32], columns: usize) -> Tensor<AB, 2> {
    let shape = [values.len() / columns, columns];
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, &Default::default())
}

/// Pairs and dimensions: one and more than a cube has units, even and odd.
const SIZES: [[usize; 2]; 5] = [[1, 3], [2, 1], [5, 24], [31, 300], [300, 2]];

/// Frames of embeddings, and the gradient for which the factors to unit length are constants.
fn unit_frames_of_pairs<AB: AutodiffBackend>() -> Findings {
    let mut findings = Findings::default();
    for [pairs, dim] in SIZES {
        let mut draws = Draws::new(15);
        let mut embeddings = draws.normals(2 * pairs * dim);
        // A row without a direction.
        embeddings[..dim].fill(0.0);
        let weights = draws.normals(2 * pairs * dim);
        let leaf = matrix::<AB>(&embeddings, dim).require_grad();
        let frames = unit_frames(leaf.clone()).expect("kernels run");
        let rows = values(frames.rows.clone());
        let loss = (frames.rows * matrix(&weights, dim)).sum();
        let gradient = values(leaf.grad(&loss.backward()).expect("a gradient"));

        let number = |row: usize, column: usize| f64::from(embeddings[row * dim + column]);
        let half_scale = |row: usize| {
            let square: f64 = (0..dim).map(|column| number(row, column).powi(2)).sum();
            0.5 / if square == 0.0 { 1.0 } else { square.sqrt() }
        };
        let weight = |row: usize, column: usize| f64::from(weights[row * dim + column]);
        let (mut expected, mut slopes) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        for (pair, column) in (0..pairs).flat_map(|pair| (0..dim).map(move |c| (pair, c))) {
            let scales = [2 * pair, 2 * pair + 1].map(half_scale);
            let [x, y] = [0, 1].map(|end| number(2 * pair + end, column) * scales[end]);
            expected[pair * dim + column] = x + y;
            expected[(pairs + pair) * dim + column] = y - x;
            let (of_m, of_t) = (weight(pair, column), weight(pairs + pair, column));
            slopes[2 * pair * dim + column] = (of_m - of_t) * scales[0];
            slopes[(2 * pair + 1) * dim + column] = (of_m + of_t) * scales[1];
        }
        for (what, found, expected) in
            [("rows", &rows, &expected), ("gradient", &gradient, &slopes)]
        {
            let error = relative_error(found, expected, 1e-6);
            findings.check(error <= 1e-6, || {
                format!("{pairs} pairs of {dim}: the {what} are off by {error:.1e}")
            });
        }
        // The parts of the numbers that were found, exactly.
        let rows: Vec<f32> = rows.iter().map(|&x| x as f32).collect();
        for (part, expected) in frames.parts.into_iter().zip(parts(&rows)) {
            let same = values(part)
                .iter()
                .zip(&expected)
                .all(|(a, &b)| *a == f64::from(b));
            findings.check(same, || format!("{pairs} pairs of {dim}: a part differs"));
        }
    }
    findings
}

/// The inner products of the frames and the distances of the middles from the products of the parts, and the distances
/// and products of the ends from these.
fn products_and_ends<AB: AutodiffBackend>() -> Findings {
    let mut findings = Findings::default();
    for [pairs, dim] in SIZES {
        let count = 2 * pairs;
        let mut draws = Draws::new(16);
        let shorten = |x: &f32| x / (4.0 * dim as f32).sqrt();
        let rows: Vec<f32> = draws.normals(count * dim).iter().map(shorten).collect();
        let split = parts(&rows);
        let product = |a: &[f32], b: &[f32]| -> Vec<f32> {
            let entry = |i: usize, j: usize| -> f64 {
                let terms = (0..dim).map(|k| f64::from(a[i * dim + k]) * f64::from(b[j * dim + k]));
                terms.sum()
            };
            let entries = (0..count).flat_map(|i| (0..count).map(move |j| entry(i, j)));
            entries.map(|x| x as f32).collect()
        };
        let [h, m, l] = &split;
        let products = PartProducts {
            hh: matrix::<AB>(&product(h, h), count),
            hm: matrix(&product(h, m), count),
            mm: matrix(&product(m, m), count),
            hl: matrix(&product(h, l), count),
        };
        let [of_frames, middles] = sum_of_levels(products).expect("kernels run");
        let distances = squared_end_distances(of_frames.clone(), middles.clone());
        let of_ends = end_products(of_frames.clone());

        let number = |row: usize, column: usize| f64::from(rows[row * dim + column]);
        let inner = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| -> f64 {
            (0..dim).map(|column| a(column) * b(column)).sum()
        };
        let end = |end: usize, column: usize| {
            let (pair, side) = (end % pairs, if end < pairs { -1.0 } else { 1.0 });
            number(pair, column) + side * number(pairs + pair, column)
        };
        let all = |count: usize, entry: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            let entries = (0..count * count).map(|at| entry(at / count, at % count));
            entries.collect()
        };
        let distance = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| -> f64 {
            (0..dim).map(|column| (a(column) - b(column)).powi(2)).sum()
        };
        let expected = [
            (
                "products of frames",
                of_frames,
                all(count, &|i, j| inner(&|c| number(i, c), &|c| number(j, c))),
            ),
            (
                "distances of middles",
                middles,
                all(pairs, &|i, j| {
                    distance(&|c| number(i, c), &|c| number(j, c))
                }),
            ),
            (
                "distances of ends",
                distances.expect("kernels run"),
                all(count, &|i, j| distance(&|c| end(i, c), &|c| end(j, c))),
            ),
            (
                "products of ends",
                of_ends.expect("kernels run"),
                all(count, &|i, j| inner(&|c| end(i, c), &|c| end(j, c))),
            ),
        ];
        for (what, found, expected) in expected {
            let found = values(found);
            let pairs_of = found.iter().zip(&expected);
            let error = pairs_of.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // Sums of a few terms of at most 4, rounded to f32.
            findings.check(found.len() == expected.len() && error <= 4e-6, || {
                format!("{pairs} pairs of {dim}: the {what} are off by {error:.1e}")
            });
        }
    }
    findings
}

fn row_gradients<AB: AutodiffBackend>() -> Findings {
    let mut findings = Findings::default();
    for [count, dim] in [[8, 24], [62, 64]] {
        let mut draws = Draws::new(14);
        let shorten = |x: &f32| x / (4.0 * dim as f32).sqrt();
        let rows: Vec<f32> = draws.normals(count * dim).iter().map(shorten).collect();
        let above = draws.normals(count * count);
        let products = draws.normals(count * count);
        let mut expected = vec![0.0; rows.len()];
        for (i, j) in (0..count).flat_map(|i| (0..count).map(move |j| (i, j))) {
            for k in 0..dim {
                expected[i * dim + k] +=
                    f64::from(above[i * count + j]) * f64::from(rows[j * dim + k]);
            }
        }
        let tensor = matrix::<AB>;
        let leaf = tensor(&rows, dim).require_grad();
        let live = with_row_gradient(tensor(&products, count), leaf.clone());
        let live = live.expect("kernels run");
        let same = values(live.clone()) == values(tensor(&products, count));
        findings.check(same, || "the products changed".to_string());
        let gradients = (live * tensor(&above, count)).sum().backward();
        let found = values(leaf.grad(&gradients).expect("a gradient"));
        let error = relative_error(&found, &expected, 1e-6);
        findings.check(error <= 1e-6, || {
            format!("{count} x {dim}: the gradient is off by {error:.1e}")
        });
    }
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    // A change of a backend's types must not switch its kernels off unseen.
    let expected = matches!(backend, "wgpu" | "cuda");
    trials.push(Trial::test(
        format!("{backend}::frames::kernels"),
        move || {
            let mut findings = Findings::default();
            let found = loop_dml::kernels::available_with_gradient::<AB>();
            findings.check(found == expected, || format!("kernels available: {found}"));
            findings.result()
        },
    ));
    if loop_dml::kernels::available_with_gradient::<AB>() {
        let name = format!("{backend}::frames::row_gradients");
        trials.push(Trial::test(name, || row_gradients::<AB>().result()));
        let name = format!("{backend}::frames::unit_frames");
        trials.push(Trial::test(name, || unit_frames_of_pairs::<AB>().result()));
        let name = format!("{backend}::frames::products_and_ends");
        trials.push(Trial::test(name, || products_and_ends::<AB>().result()));
    }
}
