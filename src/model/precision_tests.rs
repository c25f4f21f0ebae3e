//! Training steps in low precision on the CPU, compared with f32.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData, backend::Backend};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::{Backbone, ModelConfig};
use super::{ConvAlgorithm, Embedder, EmbedderConfig, OtherRows, Precision, TrainStepOptions};

type B = burn_flex::Flex;
type AB = Autodiff<B>;

const LOW: [Precision; 2] = [Precision::Bf16, Precision::F16];

/// Conv4 has four blocks. In each, three maps or weights are rounded: the weights, the convolution's output and
/// the block's output; and in the backward pass their gradients. Then the images.
const ROUNDINGS: f64 = 2.0 * (1.0 + 3.0 * 4.0);

/// Far above the errors of f32: a smaller error is that of a pass in f32.
const LEAST: f64 = 1e-5;

/// The relative error if all roundings were as large as possible and added up.
///
/// ReLUs and max pools choose other numbers where two differ by less than that. If a share p of the numbers
/// of a gradient is missing and appears at another place, the error is √(2p).
fn bound(precision: Precision) -> f64 {
    ROUNDINGS * 0.5_f64.powi(precision.significant_bits() as i32)
}

fn embedder(algorithm: ConvAlgorithm) -> Embedder<AB> {
    let config = ModelConfig {
        backbone: Backbone::Conv4,
        ..ModelConfig::default()
    };
    let config = EmbedderConfig::from(&config).with_algorithm(algorithm);
    config.with_seed(3).init(&Default::default())
}

/// A wave of numbers in [−1, 1] that does not repeat.
fn wave<Back: Backend, const D: usize>(shape: [usize; D]) -> Tensor<Back, D> {
    let count = shape.iter().product::<usize>();
    let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
    Tensor::from_data(TensorData::new(wave, shape), &Default::default())
}

/// Eight images of independent numbers in [−1, 1].
fn images() -> Tensor<AB, 4> {
    let mut draws = ChaCha8Rng::seed_from_u64(5);
    let values: Vec<f32> = (0..8 * 3 * 32 * 32)
        .map(|_| draws.random_range(-1.0..1.0))
        .collect();
    Tensor::from_data(TensorData::new(values, [8, 3, 32, 32]), &Default::default())
}

fn options(precision: Precision) -> TrainStepOptions {
    TrainStepOptions {
        draws: ChaCha8Rng::seed_from_u64(1),
        freeze_backbone: false,
        recompute: false,
        precision,
        other_rows: OtherRows::default(),
        whole_batch: None,
    }
}

/// The gradients of the parameters in their order, `None` for a parameter without one.
struct Collected<'a>(&'a GradientsParams, Vec<Option<Vec<f64>>>);

impl ModuleVisitor<AB> for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
        let gradient = self.0.get::<B, D>(parameter.id);
        if let Some(gradient) = &gradient {
            assert_eq!(gradient.dtype(), DType::F32);
        }
        self.1.push(gradient.map(values));
    }
}

fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The embeddings of a step whose loss is `scale` times a wave, and the gradients.
fn step(
    embedder: &Embedder<AB>,
    options: TrainStepOptions,
    scale: f64,
) -> (Vec<f64>, Vec<Option<Vec<f64>>>) {
    let (embeddings, backward) = embedder.forward_train(images(), options);
    assert_eq!(embeddings.dtype(), DType::F32);
    let loss = (embeddings.clone() * wave([8, 64])).sum() * scale;
    let gradients = backward.gradients(loss);
    let mut collected = Collected(&gradients, Vec::new());
    embedder.visit(&mut collected);
    (values(embeddings), collected.1)
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    length(&differences) / length(expected)
}

/// The largest relative error of a parameter's gradient.
fn worst(found: &[Option<Vec<f64>>], expected: &[Option<Vec<f64>>]) -> f64 {
    let errors = found.iter().zip(expected).map(|pair| match pair {
        (Some(found), Some(expected)) => relative_error(found, expected),
        (None, None) => 0.0,
        _ => f64::INFINITY,
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn embeddings_and_gradients_differ_from_f32_by_the_roundings_of_the_format() {
    for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
        let embedder = embedder(algorithm);
        let (embeddings, gradients) = step(&embedder, options(Precision::F32), 1.0);
        for precision in LOW {
            let bound = bound(precision);
            for recompute in [false, true] {
                let options = TrainStepOptions {
                    recompute,
                    ..options(precision)
                };
                let (found, found_gradients) = step(&embedder, options, 1.0);
                let what = format!("{precision}, {algorithm:?}, recompute {recompute}");
                let error = relative_error(&found, &embeddings);
                assert!(error > LEAST && error < bound, "{what}: {error}");
                let error = worst(&found_gradients, &gradients);
                let switched = (2.0 * bound).sqrt();
                assert!(error > LEAST && error < switched, "{what}: {error}");
            }
        }
    }
}

#[test]
fn frozen_backbone_is_computed_in_low_precision_and_gets_no_gradient() {
    let embedder = embedder(ConvAlgorithm::Im2col);
    // Running statistics that differ from the initial ones.
    embedder.forward(wave([8, 3, 32, 32]));
    let frozen = |precision| TrainStepOptions {
        freeze_backbone: true,
        ..options(precision)
    };
    let (embeddings, gradients) = step(&embedder, frozen(Precision::F32), 1.0);
    for precision in LOW {
        let (found, found_gradients) = step(&embedder, frozen(precision), 1.0);
        let error = relative_error(&found, &embeddings);
        let bound = bound(precision);
        assert!(error > LEAST && error < bound, "{precision}: {error}");
        assert!(worst(&found_gradients, &gradients) < bound);
        assert_eq!(found_gradients.iter().flatten().count(), 2);
    }
}

#[test]
fn evaluation_is_f32_and_does_not_depend_on_the_precision_of_training() {
    let embedder = embedder(ConvAlgorithm::Im2col);
    let evaluated = || values(embedder.valid().forward(wave([4, 3, 32, 32])));
    let expected = evaluated();
    for precision in LOW {
        let (_, backward) = embedder.forward_train(
            wave([8, 3, 32, 32]),
            TrainStepOptions {
                freeze_backbone: true,
                ..options(precision)
            },
        );
        drop(backward);
        assert_eq!(evaluated(), expected, "{precision}");
    }
}

/// Losses whose gradients are far below 6e-8, the smallest number of f16.
#[test]
fn tiny_gradients_are_kept_in_f16() {
    const SCALE: f64 = 1e-9;
    for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Backend] {
        let embedder = embedder(algorithm);
        let (_, expected) = step(&embedder, options(Precision::F16), 1.0);
        let (_, mut found) = step(&embedder, options(Precision::F16), SCALE);
        for value in found.iter_mut().flatten().flatten() {
            *value /= SCALE;
        }
        // The scale is not a power of two, so that the scaled gradients are rounded differently.
        let error = worst(&found, &expected);
        assert!(error < bound(Precision::F16), "{algorithm:?}: {error}");
    }
}

/// Small weights make the batch norm of the last block multiply gradients by 1/√ε, and γ beyond f16's range. The
/// block's output stays within it.
#[test]
fn overflowing_gradients_of_f16_are_empty() {
    let mut embedder = embedder(ConvAlgorithm::Backend);
    let finite = step(&embedder, options(Precision::F16), 1.0).1;
    assert!(finite.iter().flatten().count() > 2);
    let super::BackboneNetwork::Conv4(network) = &mut embedder.backbone else {
        unreachable!("it was configured");
    };
    network.scale_last_block(1e-4, 1e5);
    let (embeddings, gradients) = step(&embedder, options(Precision::F16), 1.0);
    assert!(embeddings.iter().all(|x| x.is_finite()));
    assert_eq!(gradients.iter().flatten().count(), 0);
    let (_, gradients) = step(&embedder, options(Precision::Bf16), 1.0);
    assert!(gradients.iter().flatten().flatten().all(|g| g.is_finite()));
}
