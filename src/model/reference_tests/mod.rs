//! The backbones compared with the originals, on weights and images from a closed formula.
//!
//! `assets/fixtures/backbones.py`, which has the same formula, wrote the expected numbers: those of
//! torchvision 0.26 and efficientnet_lite_pytorch 0.1.0 in double precision.

mod checkpoint_file;
mod checkpoints;
mod efficientnet_lite0;
mod googlenet;
mod observer;
mod other_libraries;
mod refused_checkpoints;
mod resnet50;
mod weights_files;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use burn::{
    backend::Autodiff,
    module::{AutodiffModule, Module, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{Tensor, TensorData, backend::Backend},
};
use burn_store::{ModuleSnapshot, TensorSnapshot};
use serde::Deserialize;

use super::{
    BackboneNetwork, ConvAlgorithm,
    execution::{Stages, TapedForward},
    weights::{load_weights, names::torch_name},
};
use crate::model::config::Backbone;

use observer::Observer;

type B = burn_flex::Flex;
type AB = Autodiff<B>;

/// Largest error of a feature or statistic, relative to the largest one: single against double
/// precision through 22 convolution layers.
const FORWARD_TOLERANCE: f64 = 2e-5;

/// Largest error of a gradient and of its norm, relative to the gradient. Batch norm amplifies rounding;
/// a ReLU or a max pool switched by rounding would cause an error of about 5e-3.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// The reference values of a backbone, written by `backbones.py`.
#[derive(Deserialize)]
struct Reference {
    /// The names of the original's parameters and running statistics.
    names: BTreeSet<String>,
    evaluation: Vec<Evaluation>,
    training: Training,
}

/// Evaluation of two images of `side` pixels, with [`Design::Usual`].
#[derive(Deserialize)]
struct Evaluation {
    side: usize,
    stages: Vec<Stage>,
    /// A sample of the pooled features.
    features: Vec<f64>,
}

/// The map after a named layer.
#[derive(Deserialize)]
struct Stage {
    name: String,
    mean: f64,
    norm: f64,
}

/// A training step on `images` images of `side` pixels, with [`Design::Settled`].
#[derive(Deserialize)]
struct Training {
    images: usize,
    side: usize,
    features: Vec<f64>,
    gradients: BTreeMap<String, Gradient>,
    running: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Gradient {
    norm: f64,
    sample: Vec<f64>,
}

/// A backbone, and the file with the reference values of its original.
struct Original {
    backbone: Backbone,
    fixture: &'static str,
    /// Tensors of the original that the backbone does not use.
    unused: &'static [(&'static str, &'static [usize])],
}

/// The batch norms of the formula's weights.
#[derive(Clone, Copy)]
enum Design {
    /// γ about 1 and β about 0, as in training. γ is smaller before the sums of residual networks, so
    /// that 16 of them do not overflow.
    Usual,
    /// γ about ¼ and β about −1, 1 or (before ReLU6) 8, so that each channel is off, on or saturated
    /// almost everywhere. Otherwise rounding of values near a kink switches slopes, which changes the
    /// gradient of the first layers by half a percent.
    Settled,
}

fn fixture(name: &str) -> PathBuf {
    // Relative to the working directory of the tests, which is the package's root. The folder of the
    // compilation may no longer exist for a cached binary.
    Path::new("assets/fixtures").join(name)
}

/// `count` numbers in [−½, ½): a hash (FNV-1a) of the name mixed with the position.
fn formula(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(2_166_136_261_u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let mix = |h: u32| (h ^ (h >> 16)).wrapping_mul(0x045D_9F3B);
    (0..count as u32)
        .map(|i| {
            let h = mix(mix(i.wrapping_mul(2_654_435_761).wrapping_add(seed)));
            f64::from(h ^ (h >> 16)) / 4_294_967_296.0 - 0.5
        })
        .collect()
}

/// The tensor of this name in the original's state dictionary.
fn state(name: &str, shape: &[usize], design: Design) -> Vec<f32> {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let value = |u: f64| match (shape, design) {
        ([_, input, rows, columns], _) => u * (24.0 / (input * rows * columns) as f64).sqrt(),
        (_, Design::Settled) if ends(&["weight"]) => 0.25 * (1.0 + 0.2 * u),
        (_, Design::Settled) if ends(&["bias"]) => {
            // The sum of a residual network must not be near 0; Lite0's activations saturate.
            let (sum, relu6) = (
                ends(&["bn3.bias", "downsample.1.bias"]),
                ends(&["_bn0.bias", "_bn1.bias"]),
            );
            let level = match u {
                u if u < -0.25 && !sum => -1.0,
                u if u > 0.35 && relu6 => 8.0,
                _ => 1.0,
            };
            level + 0.2 * u
        }
        _ if ends(&["bn3.weight", "_bn2.weight"]) => 0.5 * (1.0 + 0.2 * u),
        _ if ends(&["weight"]) => 1.0 + 0.2 * u,
        _ if ends(&["running_var"]) => 1.0 + 0.5 * u,
        _ => 0.2 * u,
    };
    let count = shape.iter().product();
    formula(name, count)
        .into_iter()
        .map(|u| value(u) as f32)
        .collect()
}

/// Images `[N, side, side, 3]`.
fn images<Back: Backend>(n: usize, side: usize) -> Tensor<Back, 4> {
    let pixels = formula(&format!("images {n} {side}"), n * 3 * side * side);
    let pixels: Vec<f32> = pixels.into_iter().map(|u| 4.0 * u as f32).collect();
    let pixels = TensorData::new(pixels, [n, 3, side, side]);
    Tensor::<Back, 4>::from_data(pixels, &Default::default()).permute([0, 2, 3, 1])
}

/// PyTorch's names and shapes of a module's tensors.
fn torch_shapes(tensors: Vec<TensorSnapshot>) -> BTreeMap<String, Vec<usize>> {
    let shape = |shape: Vec<usize>| match shape[..] {
        [rows, columns, input, output] => vec![output, input, rows, columns],
        _ => shape,
    };
    let named = |tensor: TensorSnapshot| {
        let name = torch_name(&tensor.full_path());
        (name, shape(tensor.shape.to_vec()))
    };
    tensors.into_iter().map(named).collect()
}

/// Writes a `.safetensors` file of the formula's tensors.
fn write_weights(path: &Path, shapes: &BTreeMap<String, Vec<usize>>, design: Design) {
    let mut header = serde_json::Map::new();
    let mut bytes = Vec::new();
    for (name, shape) in shapes {
        let start = bytes.len();
        bytes.extend(
            state(name, shape, design)
                .iter()
                .flat_map(|x| x.to_le_bytes()),
        );
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
    std::fs::write(path, file).unwrap();
}

/// The tensors of a network, named without the kind of network.
fn tensors<Back: Backend>(network: &BackboneNetwork<Back>) -> Vec<TensorSnapshot> {
    network.collect(None, None, true)
}

impl Original {
    fn reference(&self) -> Reference {
        serde_json::from_slice(&std::fs::read(fixture(self.fixture)).unwrap()).unwrap()
    }

    fn check_names(&self) {
        let network =
            BackboneNetwork::<B>::new(self.backbone, ConvAlgorithm::default(), &Default::default());
        let names: BTreeSet<String> = torch_shapes(tensors(&network)).into_keys().collect();
        assert_eq!(names, self.reference().names);
    }

    /// The network with the formula's weights, loaded from a file with the original's names, once for
    /// each algorithm.
    fn networks<Back: Backend>(
        &self,
        design: Design,
    ) -> impl Iterator<Item = (ConvAlgorithm, BackboneNetwork<Back>)> {
        let device = Default::default();
        let backbone = self.backbone;
        let network = move |algorithm| BackboneNetwork::<Back>::new(backbone, algorithm, &device);
        let mut shapes = torch_shapes(tensors(&network(ConvAlgorithm::Im2col)));
        for (name, shape) in self.unused {
            shapes.insert(name.to_string(), shape.to_vec());
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights.safetensors");
        write_weights(&file, &shapes, design);
        [ConvAlgorithm::Im2col, ConvAlgorithm::Backend]
            .into_iter()
            .map(move |algorithm| {
                // The closure keeps the folder until the last algorithm is loaded.
                let file = folder.path().join("weights.safetensors");
                (
                    algorithm,
                    load_weights(network(algorithm), &file).unwrap().module,
                )
            })
    }

    /// Compares the features and every named map with the original's. The first that differs is named.
    fn check_features(&self) {
        for (algorithm, network) in self.networks::<B>(Design::Usual) {
            for case in self.reference().evaluation {
                let side = case.side;
                let mut stages = case.stages.iter();
                let mut observe = |name: &str, map: &Tensor<B, 4>| {
                    let stage = stages.next().expect("no more named maps than the original");
                    assert_eq!(name, stage.name);
                    let error = stage_error(&values(map.clone()), stage);
                    assert!(
                        error < FORWARD_TOLERANCE,
                        "{algorithm:?} {side} {name}: {error:e}"
                    );
                };
                let maps = network.run(images(2, side), &mut Observer(&mut observe));
                assert!(stages.next().is_none());
                let error = sample_error(&pooled(maps), &case.features);
                assert!(error < FORWARD_TOLERANCE, "{algorithm:?} {side}: {error:e}");
            }
        }
    }

    /// Compares features, gradients and running statistics of a training step with the original's, for
    /// every method of computing gradients.
    fn check_training_step(&self) {
        for method in [
            GradientMethod::Autodiff,
            GradientMethod::Tape,
            GradientMethod::RecomputedStages,
        ] {
            self.check_training_step_by(method);
        }
    }

    fn check_training_step_by(&self, method: GradientMethod) {
        for (algorithm, network) in self.networks::<AB>(Design::Settled) {
            let Training {
                images: n,
                side,
                features,
                gradients,
                running,
            } = self.reference().training;
            let (pooled, found) = step(&network, images(n, side), method);
            let error = sample_error(&pooled, &features);
            assert!(error < 10.0 * FORWARD_TOLERANCE, "{algorithm:?}: {error:e}");
            let found = by_name(&network, &found);
            for (key, expected) in gradients {
                let norm = length(&found[&key]);
                let error = sample_error_values(&found[&key], &expected.sample)
                    .max((norm / expected.norm - 1.0).abs());
                assert!(error < GRADIENT_TOLERANCE, "{algorithm:?} {key}: {error:e}");
            }

            // The running statistics of the network for inference, which uses them.
            let tensors = tensors(&network.valid());
            for (key, expected) in running {
                let tensor = tensors.iter().find(|t| torch_name(&t.full_path()) == key);
                let found: Vec<f64> = tensor.unwrap().to_data().unwrap().iter().collect();
                let error = sample_error_values(&found, &expected);
                assert!(
                    error < 10.0 * FORWARD_TOLERANCE,
                    "{algorithm:?} {key}: {error:e}"
                );
            }
        }
    }
}

/// The mean over positions, `[N, h, w, C]` → `[N, C]`.
fn pooled<Back: Backend>(maps: Tensor<Back, 4>) -> Tensor<Back, 2> {
    let [n, h, w, c] = maps.dims();
    maps.reshape([n, h * w, c]).mean_dim(1).squeeze_dim(1)
}

fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The larger of the relative error of the norm, and the error of the mean relative to the root mean
/// square.
fn stage_error(found: &[f64], expected: &Stage) -> f64 {
    let count = found.len() as f64;
    let mean = found.iter().sum::<f64>() / count;
    let norm_error = (length(found) / expected.norm - 1.0).abs();
    norm_error.max((mean - expected.mean).abs() / (expected.norm / count.sqrt()))
}

fn sample_error<Back: Backend>(found: &Tensor<Back, 2>, sample: &[f64]) -> f64 {
    sample_error_values(&values(found.clone()), sample)
}

/// The norm of the difference between `sample` and values evenly spread over `found`, from the first to
/// the last, relative to the norm of `sample`.
fn sample_error_values(found: &[f64], sample: &[f64]) -> f64 {
    let last = [found.len() - 1, sample.len() - 1];
    let places = (0..sample.len()).map(|i| found[i * last[0] / last[1]]);
    let difference: Vec<f64> = places.zip(sample).map(|(a, b)| a - b).collect();
    length(&difference) / length(sample)
}

/// How a training step computes its gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
enum GradientMethod {
    Autodiff,
    Tape,
    /// Gradient checkpointing.
    RecomputedStages,
}

/// The pooled features and the gradients under a probe.
fn step(
    network: &BackboneNetwork<AB>,
    images: Tensor<B, 4>,
    method: GradientMethod,
) -> (Tensor<B, 2>, GradientsParams) {
    let probed = |maps: Tensor<AB, 4>| {
        let pooled = pooled(maps);
        let shape = pooled.dims();
        let probe = formula("probe", shape[0] * shape[1]);
        let probe: Vec<f32> = probe.iter().map(|&u| u as f32).collect();
        let probe = Tensor::from_data(TensorData::new(probe, shape), &Default::default());
        (pooled.clone().inner(), (pooled * probe).sum().backward())
    };
    if method == GradientMethod::Autodiff {
        let (pooled, found) = probed(network.forward(Tensor::from_inner(images)));
        return (pooled, GradientsParams::from_grads(found, network));
    }
    let recompute = method == GradientMethod::RecomputedStages;
    let (maps, forward) = TapedForward::new(network, images, recompute, None);
    let maps = Tensor::<AB, 4>::from_inner(maps).require_grad();
    let (pooled, found) = probed(maps.clone());
    let mut gradients = GradientsParams::new();
    forward.backward(maps.grad(&found).unwrap(), &mut gradients);
    (pooled, gradients)
}

/// Gradients by PyTorch's names, in PyTorch's order of axes.
fn by_name(
    network: &BackboneNetwork<AB>,
    gradients: &GradientsParams,
) -> BTreeMap<String, Vec<f64>> {
    let tensors = tensors(network).into_iter();
    let names = tensors
        .filter_map(|tensor| Some((tensor.tensor_id?, torch_name(&tensor.full_path()))))
        .collect();
    let mut visitor = GradientVisitor {
        gradients,
        names,
        found: BTreeMap::new(),
    };
    network.visit(&mut visitor);
    visitor.found
}

struct GradientVisitor<'a> {
    gradients: &'a GradientsParams,
    names: HashMap<ParamId, String>,
    found: BTreeMap<String, Vec<f64>>,
}

impl ModuleVisitor<AB> for GradientVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
        let Some(gradient) = self.gradients.get::<B, D>(parameter.id) else {
            return;
        };
        let gradient = match gradient.dims()[..] {
            [rows, columns, input, output] => {
                let kernel = gradient.reshape([rows, columns, input, output]);
                values(kernel.permute([3, 2, 0, 1]))
            }
            _ => values(gradient),
        };
        self.found
            .insert(self.names[&parameter.id].clone(), gradient);
    }
}
