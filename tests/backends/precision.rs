//! Training in bf16 and f16 on the devices that have them: convolutions, networks and short trainings, compared
//! with f32 on the CPU.

use burn::backend::Autodiff;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use libtest_mimic::Trial;
use loop_dml::backend::Cpu;
use loop_dml::config::Config;
use loop_dml::model::layers::{ConvolutionConfig, Padding};
use loop_dml::model::{ConvAlgorithm, Embedder, Precision};

use crate::data::Draws;
use crate::training::{Images, algorithm, embedder, learner, losses};
use crate::{Findings, full, relative_error, values};

/// 2⁻ᵖ for p significant bits: the largest relative error of a rounding.
fn rounding(precision: Precision) -> f64 {
    0.5_f64.powi(precision.significant_bits() as i32)
}

/// A convolution and its batch.
#[derive(Debug, Clone, Copy)]
struct Case {
    images: usize,
    side: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    depthwise: bool,
}

/// Output, gradient of the input and gradient of the weights. The factors are rounded to `precision` and
/// computed with in `precision`, or in f32.
fn convolve<AB: AutodiffBackend>(
    case: Case,
    precision: Precision,
    in_f32: bool,
    algorithm: ConvAlgorithm,
) -> [Vec<f64>; 3] {
    let device = Default::default();
    let channels = case.channels;
    let convolution = match case.depthwise {
        true => ConvolutionConfig::depthwise(channels, case.kernel),
        false => ConvolutionConfig::new(channels, channels, case.kernel),
    };
    let mut layer = convolution
        .with_stride(case.stride)
        .with_padding(Padding::Symmetric(case.kernel / 2))
        .with_algorithm(algorithm)
        .init::<AB>(&device);
    let mut draws = Draws::new(case.kernel as u64);
    let mut draw = |shape: [usize; 4], map: fn(f32) -> f32| {
        let drawn = draws.normals(shape.iter().product());
        let data = TensorData::new(drawn.into_iter().map(map).collect::<Vec<f32>>(), shape);
        let rounded = Tensor::<AB, 4>::from_data(data, &device).cast(precision.dtype());
        match in_f32 {
            true => rounded.cast(Precision::F32.dtype()),
            false => rounded,
        }
    };
    // As after a ReLU: sums of many positive numbers.
    let x = draw([case.images, case.side, case.side, channels], |v| {
        v.max(0.0)
    });
    let x = x.require_grad();
    let weight = draw(layer.weight.dims(), |v| 0.1 * v).cast(Precision::F32.dtype());
    layer.weight = Param::from_tensor(weight);
    let y = layer.forward(x.clone());
    let gradients = (y.clone() * draw(y.dims(), |v| v)).sum().backward();
    [
        values(y),
        values(x.grad(&gradients).expect("x has a gradient")),
        values(
            layer
                .weight
                .grad(&gradients)
                .expect("the weight has a gradient"),
        ),
    ]
}

/// Compares convolutions of 4096 positions and of as many as a batch has, whose products a device must add in
/// f32: added in `precision`, a sum of n numbers is off by about √n roundings.
fn compare_convolutions<AB: AutodiffBackend>(precision: Precision, backend: &str) -> Findings {
    /// The result is rounded once. Twice that allows for the order of f32 sums.
    const ROUNDINGS: f64 = 2.0;
    let mut findings = Findings::default();
    let images = if full() { 128 } else { 4 };
    let case = |kernel, stride, depthwise| Case {
        images,
        side: 32,
        kernel,
        stride,
        channels: 16,
        depthwise,
    };
    for case in [
        case(1, 1, false),
        case(3, 1, false),
        case(3, 2, false),
        case(3, 1, true),
    ] {
        let expected = convolve::<Autodiff<Cpu>>(case, precision, true, ConvAlgorithm::Im2col);
        let actual = convolve::<AB>(case, precision, false, algorithm(backend));
        for ((what, actual), expected) in
            ["output", "gradient of the input", "gradient of the weights"]
                .iter()
                .zip(&actual)
                .zip(&expected)
        {
            let error = relative_error(actual, expected, 1e-30) / rounding(precision);
            findings.check(error <= ROUNDINGS, || {
                format!("{case:?}: {what} is off by {error:.1} roundings of {precision}")
            });
        }
    }
    findings
}

/// The gradients of the parameters in their order.
struct Collected<'a>(&'a GradientsParams, Vec<Vec<f64>>);

impl<AB: AutodiffBackend> ModuleVisitor<AB> for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
        if let Some(gradient) = self.0.get::<AB::InnerBackend, D>(parameter.id) {
            self.1.push(values(gradient));
        }
    }
}

fn gradients<AB: AutodiffBackend>(
    config: &Config,
    images: &Images,
    backend: &str,
) -> Vec<Vec<f64>> {
    let network: Embedder<AB> = embedder(config, algorithm(backend));
    let learner = learner(network, config);
    let (forward_pass, _) = learner.forward(images.batch());
    let gradients = forward_pass.gradients();
    let mut collected = Collected(&gradients, Vec::new());
    Module::<AB>::visit(&learner.embedder, &mut collected);
    collected.1
}

fn config(precision: Precision) -> Config {
    let mut config = Config::default();
    config.model.embedding_dim = 24;
    config.training.precision = precision;
    config
}

/// Compares the gradients of a step of conv4.
fn compare_gradients<AB: AutodiffBackend>(precision: Precision, backend: &str) -> Findings {
    /// Images, and in each of four blocks weights, convolution and output; forward and backward.
    const ROUNDINGS: f64 = 26.0;
    // ReLUs and max pools choose another number where two differ by less than the roundings. If a share p of the
    // numbers of a gradient is missing and appears at another place, the error is √(2p).
    let allowed = (2.0 * ROUNDINGS * rounding(precision)).sqrt();
    let mut findings = Findings::default();
    let images = Images::new(4, 4, 32, 1);
    let expected = gradients::<Autodiff<Cpu>>(&config(Precision::F32), &images, "cpu");
    let actual = gradients::<AB>(&config(precision), &images, backend);
    findings.check(actual.len() == expected.len(), || {
        format!("{} gradients, not {}", actual.len(), expected.len())
    });
    for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let error = relative_error(actual, expected, 1e-30);
        findings.check(error <= allowed, || {
            format!("gradient {i} is off by {error:.2e}, more than {allowed:.2e}")
        });
    }
    findings
}

/// Compares the losses of a short training.
fn compare_losses<AB: AutodiffBackend>(precision: Precision, backend: &str) -> Findings {
    /// The difference as a share of the largest loss. It grows from step to step.
    const ALLOWED: f64 = 0.1;
    let mut findings = Findings::default();
    let expected = losses::<Autodiff<Cpu>>(&config(Precision::F32), "cpu");
    let actual = losses::<AB>(&config(precision), backend);
    let largest = expected.iter().map(|[loss, _]| *loss).fold(0.0, f64::max);
    for (step, ([loss, _], [expected, _])) in actual.iter().zip(&expected).enumerate() {
        findings.check((loss - expected).abs() <= ALLOWED * largest, || {
            format!("loss of step {step} is {loss}, not {expected}")
        });
    }
    findings
}

type Comparison = fn(Precision, &str) -> Findings;

#[allow(
    clippy::print_stdout,
    reason = "the output of the tests says what was left out"
)]
pub(crate) fn trials<AB: AutodiffBackend>(backend: &str, trials: &mut Vec<Trial>) {
    let comparisons: [(&str, Comparison); 3] = [
        ("convolutions", compare_convolutions::<AB>),
        ("gradients", compare_gradients::<AB>),
        ("losses", compare_losses::<AB>),
    ];
    // A software driver compiles the kernels of a training for minutes.
    let count = match full() || backend == "cpu" {
        true => comparisons.len(),
        false => comparisons.len() - 1,
    };
    for precision in [Precision::Bf16, Precision::F16] {
        for (name, compare) in comparisons.into_iter().take(count) {
            let backend = backend.to_string();
            let name = format!("{backend}::precision::{precision}_{name}");
            trials.push(Trial::test(name.clone(), move || {
                if AB::supports_dtype(&Default::default(), precision.dtype()) {
                    return compare(precision, &backend).result();
                }
                println!("{name}: left out, the device has no {precision} arithmetic");
                Ok(())
            }));
        }
    }
}
