//! The gradient of rows from that of their inner products, compared with plain loops in `f64`.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::kernels::frames::{RowGradient, with_row_gradient};

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
        let tensor = |values: &[f32], columns: usize| {
            let shape = [values.len() / columns, columns];
            let data = TensorData::new(values.to_vec(), shape);
            Tensor::<AB, 2>::from_data(data, &Default::default())
        };
        let split = RowGradient::Split(parts(&rows).map(|part| tensor(&part, dim)));
        for (name, how) in [("plain", RowGradient::Plain), ("split", split)] {
            let leaf = tensor(&rows, dim).require_grad();
            let live = with_row_gradient(tensor(&products, count), leaf.clone(), how);
            let live = live.expect("kernels run");
            let same = values(live.clone()) == values(tensor(&products, count));
            findings.check(same, || format!("{name}: the products changed"));
            let gradients = (live * tensor(&above, count)).sum().backward();
            let found = values(leaf.grad(&gradients).expect("a gradient"));
            let error = relative_error(&found, &expected, 1e-6);
            findings.check(error <= 1e-6, || {
                format!("{name}, {count} x {dim}: the gradient is off by {error:.1e}")
            });
        }
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
    }
}
