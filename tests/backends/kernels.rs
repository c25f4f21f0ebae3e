//! The project's own kernels, called directly, compared with plain loops in f64.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::kernels::adam::{self, Parameter, Update};
use loop_dml::kernels::batch_norm::{self, Parameters, Running, Then};
use loop_dml::kernels::depthwise;
use loop_dml::kernels::windows::Windows;

use crate::data::Draws;
use crate::{Findings, relative_error, values};

fn tensor<B: Backend, const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Default::default())
}

/// `map` as a part of the channels of a larger map, which backends represent by a view where it is aligned.
fn part_of_channels<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 4> {
    let channels = map.dims()[3];
    let around = map.zeros_like() + 7.0;
    Tensor::cat(vec![around.clone(), map, around], 3).narrow(3, channels, channels)
}

/// The value and the slope of the activation.
fn activated(then: Then, z: f64) -> (f64, f64) {
    match then {
        Then::Relu => (z.max(0.0), f64::from(z > 0.0)),
        Then::Relu6 => (z.clamp(0.0, 6.0), f64::from(z > 0.0 && z < 6.0)),
        Then::Nothing => (z, 1.0),
    }
}

/// Maps with one position, with fewer than a cube has units, with several chunks of rows of which the last is
/// shorter, and with more chunks than units; with channels in vectors of four, of two and of one.
const MAPS: [[usize; 4]; 7] = [
    [1, 1, 1, 4],
    [2, 3, 5, 3],
    [4, 4, 4, 64],
    [3, 37, 41, 24],
    [2, 9, 9, 530],
    [16, 40, 41, 6],
    [32, 64, 65, 16],
];

fn batch_norms<B: Backend>() -> Findings {
    const EPSILON: f64 = 1e-3;
    let mut findings = Findings::default();
    for ([n, h, w, c], mean) in MAPS.into_iter().flat_map(|map| [(map, 0.3), (map, 1000.0)]) {
        for then in [Then::Relu, Then::Relu6, Then::Nothing] {
            let mut draws = Draws::new(7);
            let rows = n * h * w;
            let x: Vec<f32> = draws
                .normals(rows * c)
                .iter()
                .map(|x| 2.0 * x + mean)
                .collect();
            // Some outputs are above 6.
            let gamma: Vec<f32> = draws.normals(c).iter().map(|x| 3.0 * x).collect();
            let (beta, above) = (draws.normals(c), draws.normals(rows * c));
            let mut expected = [x.len(), c, c, x.len(), c, c].map(|length| vec![0.0; length]);
            for channel in 0..c {
                let places = || (0..rows).map(|row| row * c + channel);
                let mean_of = |f: &dyn Fn(usize) -> f64| places().map(f).sum::<f64>() / rows as f64;
                let centre = mean_of(&|i| f64::from(x[i]));
                let variance = mean_of(&|i| (f64::from(x[i]) - centre).powi(2));
                let inverse = 1.0 / (variance + EPSILON).sqrt();
                let unit = |i: usize| (f64::from(x[i]) - centre) * inverse;
                let (g, b) = (f64::from(gamma[channel]), f64::from(beta[channel]));
                let before = |i: usize| f64::from(above[i]) * activated(then, g * unit(i) + b).1;
                let (sum, product) = (mean_of(&before), mean_of(&|i| before(i) * unit(i)));
                for i in places() {
                    expected[0][i] = activated(then, g * unit(i) + b).0;
                    expected[3][i] = g * inverse * (before(i) - sum - unit(i) * product);
                }
                expected[1][channel] = 0.7 * 0.5 + 0.3 * centre;
                let unbiased = variance * rows as f64 / (rows - 1).max(1) as f64;
                expected[2][channel] = 0.7 * 4.0 + 0.3 * unbiased;
                expected[4][channel] = product * rows as f64;
                expected[5][channel] = sum * rows as f64;
            }

            let part = |map: Tensor<B, 4>| match c {
                64 => part_of_channels(map),
                _ => map,
            };
            let map = part(tensor::<B, 4>(&x, [n, h, w, c]));
            let parameters = Parameters {
                weight: tensor::<B, 1>(&gamma, [c]),
                bias: tensor::<B, 1>(&beta, [c]),
                epsilon: EPSILON,
            };
            let running = Running {
                mean: tensor::<B, 1>(&vec![0.5; c], [c]),
                variance: tensor::<B, 1>(&vec![4.0; c], [c]),
                momentum: 0.3,
            };
            let (output, statistics, running) =
                batch_norm::forward(map.clone(), &parameters, running, then).expect("kernels run");
            let above = part(tensor::<B, 4>(&above, [n, h, w, c]));
            let gradients = batch_norm::backward(map, above, &parameters, &statistics, then)
                .expect("kernels run");
            let found = [
                values(output),
                values(running.mean),
                values(running.variance),
                values(gradients.x),
                values(gradients.weight),
                values(gradients.bias),
            ];
            let names = [
                "output",
                "running mean",
                "running variance",
                "gradient of x",
                "of γ",
                "of β",
            ];
            for ((name, found), expected) in names.iter().zip(&found).zip(&expected) {
                // Numbers near 1000 are rounded to 6e-5. So are the zeros of an activation: the gradient of one
                // number in 1e4 is switched.
                let allowed = match (mean > 1.0, then) {
                    (false, _) => 3e-6,
                    (true, Then::Nothing) => 2e-4,
                    (true, _) => 2e-2,
                };
                let least = 1e-6 * (rows as f64).sqrt();
                let error = relative_error(found, expected, least);
                findings.check(error <= allowed, || {
                    format!(
                        "{then:?} of {n} x {h} x {w} x {c} around {mean}: {name} off by {error:.1e}"
                    )
                });
            }
        }
    }
    findings
}

/// A NaN reaches every output of its channel, so that it is found.
fn not_a_number<B: Backend>() -> Findings {
    let mut findings = Findings::default();
    let (rows, channels) = (50, 6);
    for then in [Then::Relu, Then::Relu6, Then::Nothing] {
        let mut x = Draws::new(10).normals(rows * channels);
        x[7 * channels + 2] = f32::NAN;
        let of_channels = |value| tensor::<B, 1>(&vec![value; channels], [channels]);
        let parameters = Parameters {
            weight: of_channels(1.0),
            bias: of_channels(0.0),
            epsilon: 1e-3,
        };
        let running = Running {
            mean: of_channels(0.0),
            variance: of_channels(1.0),
            momentum: 0.1,
        };
        let map = tensor::<B, 4>(&x, [1, 10, 5, channels]);
        let (output, ..) =
            batch_norm::forward(map, &parameters, running, then).expect("kernels run");
        for (i, output) in values(output).into_iter().enumerate() {
            let right = output.is_nan() == (i % channels == 2);
            findings.check(right, || format!("{then:?}: number {i} is {output}"));
        }
    }
    findings
}

fn depthwise_convolutions<B: Backend>() -> Findings {
    let mut findings = Findings::default();
    for ([n, h, w, c], kernel, stride, before, after) in [
        ([1, 1, 1, 4], 3, 1, [1, 1], [1, 1]),
        ([2, 6, 7, 3], 3, 1, [1, 1], [1, 1]),
        ([2, 6, 7, 6], 3, 2, [0, 1], [1, 1]),
        ([3, 9, 8, 24], 5, 2, [2, 1], [2, 2]),
        ([2, 9, 8, 530], 5, 1, [2, 2], [2, 2]),
        ([32, 33, 31, 16], 3, 1, [1, 1], [1, 1]),
    ] {
        let size =
            |axis: usize, side: usize| (side + before[axis] + after[axis] - kernel) / stride + 1;
        let [rows, columns] = [size(0, h), size(1, w)];
        let windows = Windows {
            kernel,
            stride,
            before,
            input: [h, w],
            output: [rows, columns],
        };
        let mut draws = Draws::new(8);
        let x = draws.normals(n * h * w * c);
        let weight = draws.normals(kernel * kernel * c);
        let above = draws.normals(n * rows * columns * c);
        let mut expected = [&above, &x, &weight].map(|like| vec![0.0; like.len()]);
        for window in 0..n * rows * columns {
            let (image, i, j) = (
                window / columns / rows,
                window / columns % rows,
                window % columns,
            );
            for tap in 0..kernel * kernel {
                let row = (i * stride + tap / kernel).checked_sub(before[0]);
                let column = (j * stride + tap % kernel).checked_sub(before[1]);
                let (Some(row), Some(column)) = (
                    row.filter(|&row| row < h),
                    column.filter(|&column| column < w),
                ) else {
                    continue;
                };
                for channel in 0..c {
                    let input = ((image * h + row) * w + column) * c + channel;
                    let (tap, output) = (tap * c + channel, window * c + channel);
                    let [from, by, of] = [x[input], weight[tap], above[output]].map(f64::from);
                    expected[0][output] += from * by;
                    expected[1][input] += of * by;
                    expected[2][tap] += of * from;
                }
            }
        }
        let map = tensor::<B, 4>(&x, [n, h, w, c]);
        let filters = tensor::<B, 4>(&weight, [kernel, kernel, 1, c]);
        let above = tensor::<B, 4>(&above, [n, rows, columns, c]);
        let found = [
            depthwise::forward(map.clone(), filters.clone(), windows),
            depthwise::x_gradient(filters, above.clone(), windows),
            depthwise::weight_gradient(map, above, windows),
        ];
        let names = ["output", "gradient of x", "gradient of the weights"];
        for ((name, found), expected) in names.iter().zip(found).zip(&expected) {
            let error = relative_error(&values(found.expect("kernels run")), expected, 1e-6);
            findings.check(error <= 2e-6, || {
                format!("{windows:?} of {n} images, {c} channels: {name} off by {error:.1e}")
            });
        }
    }
    findings
}

fn adam_steps<B: Backend>() -> Findings {
    let mut findings = Findings::default();
    for count in [1, 2, 7, 4096, 100_003] {
        let mut draws = Draws::new(9);
        let start = draws.normals(count);
        let mut parameter = Parameter {
            value: tensor::<B, 1>(&start, [count]),
            moment_1: Tensor::zeros([count], &Default::default()),
            moment_2: Tensor::zeros([count], &Default::default()),
        };
        let mut expected: Vec<[f64; 3]> = start.iter().map(|&p| [p.into(), 0.0, 0.0]).collect();
        for time in 1..=3 {
            let update = Update {
                rate: 0.05,
                betas: [0.9, 0.999],
                epsilon: 1e-8,
                weight_decay: 0.01,
                time,
            };
            let gradient = draws.normals(count);
            for ([p, m, v], &g) in expected.iter_mut().zip(&gradient) {
                let [beta_1, beta_2] = update.betas.map(f64::from);
                let g = f64::from(g) + f64::from(update.weight_decay) * *p;
                *m = beta_1 * *m + (1.0 - beta_1) * g;
                *v = beta_2 * *v + (1.0 - beta_2) * g * g;
                let unbiased = [
                    *m / (1.0 - beta_1.powi(time as i32)),
                    *v / (1.0 - beta_2.powi(time as i32)),
                ];
                *p -= update.rate * unbiased[0] / (unbiased[1].sqrt() + f64::from(update.epsilon));
            }
            let gradient = tensor::<B, 1>(&gradient, [count]);
            parameter = adam::step(parameter, gradient, update).expect("kernels run");
            let found = [&parameter.value, &parameter.moment_1, &parameter.moment_2];
            for (i, (name, found)) in ["value", "m", "v"].iter().zip(found).enumerate() {
                let expected: Vec<f64> = expected.iter().map(|state| state[i]).collect();
                let error = relative_error(&values(found.clone()), &expected, 1e-6);
                // 1 − β₂ᵗ is computed in f32, as by Burn: 1e-3 with an error of 6e-8.
                findings.check(error <= 1e-5, || {
                    format!("{count} numbers, step {time}: {name} off by {error:.1e}")
                });
            }
        }
    }
    findings
}

pub(crate) fn trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    if !loop_dml::kernels::available::<B>() {
        return;
    }
    let mut add = |name: &str, test: fn() -> Findings| {
        let name = format!("{backend}::kernels::{name}");
        trials.push(Trial::test(name, move || test().result()));
    };
    add("batch_norms", batch_norms::<B>);
    add("depthwise_convolutions", depthwise_convolutions::<B>);
    add("not_a_number", not_a_number::<B>);
    add("adam", adam_steps::<B>);
}
