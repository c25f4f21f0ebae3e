//! Matrix products, convolutions, pools and batch norms, forward and backward, compared with plain loops.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::kernels::{available_with_gradient, matmul, matmul_tf32, sum_of_products};
use loop_dml::model::config::Backbone;
use loop_dml::model::layers::{BatchNormConfig, ConvolutionConfig, MaxPool, Padding};
use loop_dml::model::{BackboneNetwork, ConvAlgorithm, unit_length};

use crate::data::Draws;
use crate::{Findings, full, relative_error, values};

/// The largest relative error of a product. CUDA rounds factors to the 11 bits of TF32, by at most 2⁻¹²
/// each; other backends round sums of thousands of f32 numbers.
fn tolerance(backend: &str) -> f64 {
    if backend.starts_with("cuda") {
        2e-3
    } else {
        2e-5
    }
}

/// The algorithms of layers on a backend.
fn algorithms(backend: &str) -> &'static [ConvAlgorithm] {
    match backend {
        "cpu" => &[ConvAlgorithm::Im2col, ConvAlgorithm::Backend],
        _ => &[ConvAlgorithm::Backend],
    }
}

/// Compares arrays as a whole and number by number, so that one wrong row among many correct ones is
/// found.
fn compare(
    findings: &mut Findings,
    (actual, expected): (&[f64], &[f64]),
    tolerance: f64,
    what: impl Fn() -> String,
) {
    let error = relative_error(actual, expected, 1e-30);
    findings.check(error <= tolerance, || {
        format!("{}: off by {error:.1e}", what())
    });
    let square: f64 = expected.iter().map(|x| x * x).sum();
    let usual = (square / expected.len() as f64).sqrt();
    let differences = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
    let (place, worst) = differences
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("not empty");
    findings.check(worst <= 20.0 * tolerance * usual, || {
        format!("{}: number {place} is off by {worst:.1e}", what())
    });
}

fn tensor<AB: AutodiffBackend, const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<AB, D> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, &Default::default()).require_grad()
}

/// The output of a function of an input and of weights on a backend, and the gradients of both, given
/// the gradient `of_output` of the output.
fn run<AB: AutodiffBackend, const D: usize, const E: usize>(
    (x, weight): (Tensor<AB, D>, Tensor<AB, E>),
    of_output: &[f32],
    f: impl Fn(Tensor<AB, D>) -> Tensor<AB, D>,
) -> [Vec<f64>; 3] {
    let y = f(x.clone());
    let probe = Tensor::from_data(
        TensorData::new(of_output.to_vec(), y.shape()),
        &Default::default(),
    );
    let gradients = (y.clone() * probe).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).expect("x has a gradient")),
        values(weight.grad(&gradients).expect("the weight has a gradient")),
    ]
}

/// A convolution of every image `[H, W, C]` with `[k, k, C, O]`, or of every channel with a separate
/// kernel.
#[derive(Debug, Clone, Copy)]
struct Convolution {
    images: usize,
    size: [usize; 2],
    kernel: usize,
    stride: usize,
    input: usize,
    output: usize,
    depthwise: bool,
}

impl Convolution {
    fn dense(kernel: usize, input: usize, output: usize) -> Self {
        Self {
            images: 3,
            size: [4, 5],
            kernel,
            stride: 1,
            input,
            output,
            depthwise: false,
        }
    }

    fn depthwise(kernel: usize, channels: usize) -> Self {
        Self {
            depthwise: true,
            ..Self::dense(kernel, channels, channels)
        }
    }

    fn output_size(&self) -> [usize; 2] {
        let padding = self.kernel / 2;
        self.size
            .map(|side| (side + 2 * padding - self.kernel) / self.stride + 1)
    }

    fn weight_shape(&self) -> [usize; 4] {
        let inputs = if self.depthwise { 1 } else { self.input };
        [self.kernel, self.kernel, inputs, self.output]
    }

    /// Calls `f` with the indices in x, weight and output of every product in the output's sums.
    fn each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ([h, w], [rows, columns]) = (self.size, self.output_size());
        let padding = self.kernel / 2;
        let inside = |at: usize, side: usize| at.checked_sub(padding).filter(|&at| at < side);
        for n in 0..self.images {
            for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                for (a, b) in (0..self.kernel).flat_map(|a| (0..self.kernel).map(move |b| (a, b))) {
                    let (y, x) = (i * self.stride + a, j * self.stride + b);
                    let (Some(y), Some(x)) = (inside(y, h), inside(x, w)) else {
                        continue;
                    };
                    let position = (n * h + y) * w + x;
                    let result = ((n * rows + i) * columns + j) * self.output;
                    let tap = a * self.kernel + b;
                    if self.depthwise {
                        for c in 0..self.output {
                            f(position * self.input + c, tap * self.output + c, result + c);
                        }
                        continue;
                    }
                    for c in 0..self.input {
                        let weight = (tap * self.input + c) * self.output;
                        for o in 0..self.output {
                            f(position * self.input + c, weight + o, result + o);
                        }
                    }
                }
            }
        }
    }

    fn compare<AB: AutodiffBackend>(
        &self,
        algorithm: ConvAlgorithm,
        tolerance: f64,
        findings: &mut Findings,
    ) {
        let mut draws = Draws::new(1);
        let [h, w] = self.size;
        let [rows, columns] = self.output_size();
        let shape = [self.images, h, w, self.input];
        let x = draws.normals(shape.iter().product());
        let weight = draws.normals(self.weight_shape().iter().product());
        let of_output = draws.normals(self.images * rows * columns * self.output);
        let mut expected = [&of_output, &x, &weight].map(|like| vec![0.0; like.len()]);
        self.each_product(|i, k, o| {
            let [in_x, in_weight, above] = [x[i], weight[k], of_output[o]].map(f64::from);
            expected[0][o] += in_x * in_weight;
            expected[1][i] += above * in_weight;
            expected[2][k] += above * in_x;
        });

        let padding = Padding::Symmetric(self.kernel / 2);
        let parameter = Param::from_tensor(tensor::<AB, 4>(&weight, self.weight_shape()));
        let leaves = (tensor(&x, shape), parameter.val());
        let device = Default::default();
        let actual = if self.depthwise {
            let mut layer = ConvolutionConfig::depthwise(self.input, self.kernel)
                .with_stride(self.stride)
                .with_padding(padding)
                .with_algorithm(algorithm)
                .init(&device);
            layer.weight = parameter;
            run(leaves, &of_output, |x| layer.forward(x))
        } else {
            let mut layer = ConvolutionConfig::new(self.input, self.output, self.kernel)
                .with_stride(self.stride)
                .with_padding(padding)
                .with_algorithm(algorithm)
                .init(&device);
            layer.weight = parameter;
            run(leaves, &of_output, |x| layer.forward(x))
        };
        for (part, name) in ["output", "gradient of x", "gradient of the weight"]
            .into_iter()
            .enumerate()
        {
            compare(
                findings,
                (&actual[part], &expected[part]),
                tolerance,
                || format!("{self:?}, {algorithm:?}: {name}"),
            );
        }
    }
}

/// The shapes of a network's kernels.
struct Kernels(BTreeSet<Vec<usize>>);

impl ModuleVisitor<Cpu> for Kernels {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<Cpu, D>>) {
        if D == 4 {
            self.0.insert(parameter.dims().to_vec());
        }
    }
}

/// The tested convolutions: by default those of the quickstart's network, and some that Burn's products
/// may compute wrongly (docs/burn-0.21.md); in a full run those of all backbones.
fn convolutions() -> Vec<Convolution> {
    let strided = |kernel, input, output| Convolution {
        stride: 2,
        size: [9, 8],
        ..Convolution::dense(kernel, input, output)
    };
    // The number of positions is the length of the sums in a weight's gradient.
    let of_positions = |images, size| Convolution {
        images,
        size,
        ..Convolution::dense(1, 16, 24)
    };
    let mut all = vec![
        of_positions(4, [8, 15]),
        strided(3, 8, 16),
        Convolution::depthwise(3, 32),
    ];
    if !full() {
        let few = [(3, 3, 16), (3, 64, 128), (1, 528, 128), (1, 40, 240)];
        all.extend(few.map(|(kernel, input, output)| Convolution::dense(kernel, input, output)));
        return all;
    }
    all.extend([
        of_positions(3, [8, 22]),
        of_positions(2, [4, 5]),
        strided(7, 3, 64),
        Convolution::depthwise(5, 24),
    ]);
    let mut kernels = Kernels(BTreeSet::new());
    for backbone in [
        Backbone::Conv4,
        Backbone::GoogLeNet,
        Backbone::ResNet50,
        Backbone::EfficientNetLite0,
    ] {
        BackboneNetwork::<Cpu>::new(backbone, ConvAlgorithm::Im2col, &Default::default())
            .visit(&mut kernels);
    }
    all.extend(kernels.0.into_iter().map(|shape| match shape[..] {
        [kernel, _, 1, channels] => Convolution::depthwise(kernel, channels),
        [kernel, _, input, output] => Convolution::dense(kernel, input, output),
        _ => unreachable!("kernels have four axes"),
    }));
    all
}

fn products<AB: AutodiffBackend>(tolerance: f64) -> Findings {
    let mut findings = Findings::default();
    let few: &[usize] = &[3, 24, 480, 528];
    let all: &[usize] = &[
        1, 2, 3, 8, 24, 40, 64, 80, 96, 112, 160, 192, 240, 480, 512, 528, 672, 832, 1152,
    ];
    for &inner in if full() { all } else { few } {
        let shapes: &[_] = if full() {
            &[(30, 64), (64, 30), (1, 7), (33, 1), (200, 136)]
        } else {
            &[(30, 64), (1, 7), (33, 1)]
        };
        for &(rows, columns) in shapes {
            let mut draws = Draws::new(2);
            let x = draws.normals(rows * inner);
            let y = draws.normals(inner * columns);
            let of_output = draws.normals(rows * columns);
            let mut expected = [&of_output, &x, &y].map(|like| vec![0.0; like.len()]);
            for (i, k) in (0..rows).flat_map(|i| (0..inner).map(move |k| (i, k))) {
                for j in 0..columns {
                    let (a, b, o) = (i * inner + k, k * columns + j, i * columns + j);
                    let [in_x, in_y, above] = [x[a], y[b], of_output[o]].map(f64::from);
                    expected[0][o] += in_x * in_y;
                    expected[1][a] += above * in_y;
                    expected[2][b] += above * in_x;
                }
            }
            let y = tensor::<AB, 2>(&y, [inner, columns]);
            let x = tensor::<AB, 2>(&x, [rows, inner]);
            let exact = match available_with_gradient::<AB>() {
                true => 2e-5,
                false => tolerance,
            };
            type Product<AB> = fn(Tensor<AB, 2>, Tensor<AB, 2>) -> Tensor<AB, 2>;
            let products: [(_, Product<AB>, _); 2] = [
                ("matmul", matmul, exact),
                ("matmul_tf32", matmul_tf32, tolerance),
            ];
            for (of, product, tolerance) in products {
                let leaves = (x.clone(), y.clone());
                let actual = run(leaves, &of_output, |x| product(x, y.clone()));
                for (part, name) in ["product", "gradient of x", "gradient of y"]
                    .into_iter()
                    .enumerate()
                {
                    compare(
                        &mut findings,
                        (&actual[part], &expected[part]),
                        tolerance,
                        || format!("{of}, {rows} x {inner} x {columns}: {name}"),
                    );
                }
            }
        }
    }
    findings
}

/// Products over as many rows as a batch has positions, in parts and not.
fn sums_of_products<AB: AutodiffBackend>(tolerance: f64) -> Findings {
    let mut findings = Findings::default();
    for (rows, [m, n]) in [
        (7, [3, 5]),
        (4096, [30, 64]),
        (4099, [8, 130]),
        (3136, [147, 64]),
    ] {
        let mut draws = Draws::new(5);
        let x = draws.normals(rows * m);
        let y = draws.normals(rows * n);
        let mut expected = vec![0.0; m * n];
        for (x, y) in x.chunks(m).zip(y.chunks(n)) {
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                expected[i * n + j] += f64::from(x[i]) * f64::from(y[j]);
            }
        }
        let [x, y] = [(x, m), (y, n)].map(|(x, width)| tensor::<AB, 2>(&x, [rows, width]).inner());
        let actual = values(sum_of_products(x, y));
        compare(&mut findings, (&actual, &expected), tolerance, || {
            format!("{rows} x {m} x {n}")
        });
    }
    findings
}

fn pools<AB: AutodiffBackend>(algorithm: ConvAlgorithm, findings: &mut Findings) {
    for (kernel_size, stride, padding) in [(2, 2, 0), (3, 2, 0), (3, 1, 1)] {
        let pool = MaxPool {
            kernel_size,
            stride,
            padding,
            ceil_mode: true,
        };
        for (channels, size) in [(1, [4, 4]), (16, [7, 5]), (64, [8, 3])] {
            let shape = [2, size[0], size[1], channels];
            let x = Draws::new(3).normals(shape.iter().product());
            let [rows, columns] =
                size.map(|side| (side + 2 * padding - kernel_size).div_ceil(stride) + 1);
            let of_output = Draws::new(4).normals(2 * rows * columns * channels);
            let mut expected = [vec![f64::NEG_INFINITY; of_output.len()], vec![0.0; x.len()]];
            for (o, above) in of_output.iter().enumerate() {
                let (c, place) = (o % channels, o / channels);
                let (j, i, n) = (
                    place % columns,
                    place / columns % rows,
                    place / columns / rows,
                );
                let mut winner = None;
                for (a, b) in (0..kernel_size).flat_map(|a| (0..kernel_size).map(move |b| (a, b))) {
                    let inside =
                        |at: usize, side: usize| at.checked_sub(padding).filter(|&at| at < side);
                    let (y, z) = (
                        inside(i * stride + a, size[0]),
                        inside(j * stride + b, size[1]),
                    );
                    let (Some(y), Some(z)) = (y, z) else { continue };
                    let at = ((n * size[0] + y) * size[1] + z) * channels + c;
                    if f64::from(x[at]) > expected[0][o] {
                        expected[0][o] = f64::from(x[at]);
                        winner = Some(at);
                    }
                }
                expected[1][winner.expect("every window has a place")] += f64::from(*above);
            }
            let x = tensor::<AB, 4>(&x, shape);
            let [output, gradient, _] =
                run((x.clone(), x), &of_output, |x| pool.forward(x, algorithm));
            for (actual, expected, name) in [
                (output, &expected[0], "output"),
                (gradient, &expected[1], "gradient"),
            ] {
                // Only sums of a few numbers are rounded.
                compare(findings, (&actual, expected), 1e-6, || {
                    format!("{pool:?} of {shape:?}, {algorithm:?}: {name}")
                });
            }
        }
    }
}

fn batch_norms<AB: AutodiffBackend>(algorithm: ConvAlgorithm, findings: &mut Findings) {
    const EPSILON: f64 = 1e-3;
    for (channels, [n, h, w]) in [
        (1, [2, 1, 2]),
        (2, [3, 2, 2]),
        (3, [2, 3, 3]),
        (16, [4, 4, 4]),
        (64, [2, 5, 3]),
        (480, [2, 2, 2]),
    ] {
        let count = n * h * w;
        let mut draws = Draws::new(5);
        // Away from 0, where a variance computed as a difference of squares is inexact.
        let x: Vec<f32> = draws
            .normals(count * channels)
            .iter()
            .map(|x| x + 3.0)
            .collect();
        let (gamma, beta) = (draws.normals(channels), draws.normals(channels));
        let of_output = draws.normals(count * channels);
        let mut expected = [vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; channels]];
        let mut running = [vec![0.0; channels], vec![0.0; channels]];
        for c in 0..channels {
            let column = |of: &[f32]| -> Vec<f64> {
                (0..count)
                    .map(|i| f64::from(of[i * channels + c]))
                    .collect()
            };
            let mean = |of: &[f64]| of.iter().sum::<f64>() / count as f64;
            let (x, above) = (column(&x), column(&of_output));
            let centre = mean(&x);
            let variance = mean(&x.iter().map(|x| (x - centre).powi(2)).collect::<Vec<_>>());
            let scale = 1.0 / (variance + EPSILON).sqrt();
            let unit: Vec<f64> = x.iter().map(|x| (x - centre) * scale).collect();
            let both: Vec<f64> = unit.iter().zip(&above).map(|(u, a)| u * a).collect();
            let (g, b) = (f64::from(gamma[c]), f64::from(beta[c]));
            for i in 0..count {
                let place = i * channels + c;
                expected[0][place] = g * unit[i] + b;
                expected[1][place] = g * scale * (above[i] - mean(&above) - unit[i] * mean(&both));
            }
            expected[2][c] = both.iter().sum();
            running[0][c] = 0.1 * centre;
            running[1][c] = 0.9 + 0.1 * variance * count as f64 / (count - 1) as f64;
        }
        let mut layer = BatchNormConfig::new(channels)
            .with_epsilon(EPSILON)
            .init::<AB>(&Default::default());
        layer.weight = Param::from_tensor(tensor(&gamma, [channels]));
        layer.bias = Param::from_tensor(tensor(&beta, [channels]));
        let leaves = (tensor(&x, [n, h, w, channels]), layer.weight.val());
        let actual = run(leaves, &of_output, |x| layer.normalised(x, algorithm, true));
        let found = [
            values(layer.running_mean.value_sync()),
            values(layer.running_var.value_sync()),
        ];
        let names = [
            "output",
            "gradient of x",
            "gradient of γ",
            "running mean",
            "running variance",
        ];
        let actual = actual.iter().chain(&found);
        let expected = expected.iter().chain(&running);
        for ((name, actual), expected) in names.into_iter().zip(actual).zip(expected) {
            // For two values that differ by 1e-2, the gradient contains differences of 1e2.
            compare(findings, (actual, expected), 1e-4, || {
                format!("batch norm of {count} x {channels}, {algorithm:?}: {name}")
            });
        }
    }
}

fn lengths<AB: AutodiffBackend>() -> Findings {
    let mut findings = Findings::default();
    for (rows, dim) in [(1, 1), (2, 1), (4, 2), (5, 3), (8, 24), (31, 64), (64, 512)] {
        let mut draws = Draws::new(6);
        let x = draws.normals(rows * dim);
        let of_output = draws.normals(rows * dim);
        let mut expected = [Vec::new(), Vec::new()];
        for (row, above) in x.chunks(dim).zip(of_output.chunks(dim)) {
            let length = row
                .iter()
                .map(|&x| f64::from(x).powi(2))
                .sum::<f64>()
                .sqrt();
            let unit: Vec<f64> = row.iter().map(|&x| f64::from(x) / length).collect();
            let along: f64 = unit.iter().zip(above).map(|(u, &a)| u * f64::from(a)).sum();
            let gradient = unit.iter().zip(above);
            expected[1].extend(gradient.map(|(u, &a)| (f64::from(a) - along * u) / length));
            expected[0].extend(unit);
        }
        let x = tensor::<AB, 2>(&x, [rows, dim]);
        let [output, gradient, _] = run((x.clone(), x), &of_output, unit_length);
        for (actual, expected, name) in [
            (output, &expected[0], "rows"),
            (gradient, &expected[1], "gradient"),
        ] {
            // A row of one number always becomes ±1: its gradient is rounding error.
            let least = if dim == 1 { 1e5 } else { 1e-30 };
            let error = relative_error(&actual, expected, least);
            findings.check(error <= 1e-5, || {
                format!("{rows} rows of {dim}: {name} off by {error:.1e}")
            });
        }
    }
    findings
}

pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    let mut add = |name: &str, test: Box<dyn Fn() -> Findings + Send>| {
        let name = format!("{backend}::layers::{name}");
        trials.push(Trial::test(name, move || test().result()));
    };
    let (allowed, algorithms) = (tolerance(backend), algorithms(backend));
    let with_each_algorithm = move |test: &dyn Fn(ConvAlgorithm, &mut Findings)| {
        let mut findings = Findings::default();
        algorithms
            .iter()
            .for_each(|&algorithm| test(algorithm, &mut findings));
        findings
    };
    add("unit_length", Box::new(lengths::<AB>));
    add("products", Box::new(move || products::<AB>(allowed)));
    add(
        "sums_of_products",
        Box::new(move || sums_of_products::<AB>(allowed)),
    );
    add(
        "convolutions",
        Box::new(move || {
            with_each_algorithm(&|algorithm, findings| {
                for convolution in convolutions() {
                    convolution.compare::<AB>(algorithm, allowed, findings);
                }
            })
        }),
    );
    add(
        "max_pools",
        Box::new(move || {
            with_each_algorithm(&|algorithm, findings| pools::<AB>(algorithm, findings))
        }),
    );
    add(
        "batch_norms",
        Box::new(move || {
            with_each_algorithm(&|algorithm, findings| batch_norms::<AB>(algorithm, findings))
        }),
    );
}
