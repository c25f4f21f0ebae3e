//! GoogLeNet against torchvision's, on weights and images from a closed formula.
//!
//! The expected numbers are torchvision 0.26's in double precision, written by
//! `assets/fixtures/googlenet.py`, which has the same formula.

use std::path::{Path, PathBuf};

use burn::{
    backend::Autodiff,
    module::{Param, ParamId},
    tensor::{Tensor, TensorData, backend::Backend},
};
use burn_store::ModuleSnapshot;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{
    BackboneNetwork, ComputePath, Embedder, EmbedderConfig, GoogLeNet, WeightsError,
    layers::{ConvolutionBlock, ConvolutionBlockConfig, ConvolutionConfig},
    load_weights,
    weights::torch_name,
};
use crate::config::{Backbone, ModelConfig};

type B = burn_flex::Flex;
type AB = Autodiff<B>;

/// Largest error of a feature or statistic, relative to the largest of its kind: single against
/// double precision through 22 layers of convolution.
const FORWARD_TOLERANCE: f64 = 2e-5;

/// Largest error of a gradient, relative to its norm. Batch norm and ReLU amplify rounding.
const GRADIENT_TOLERANCE: f64 = 2e-3;

#[derive(Deserialize)]
struct Reference {
    evaluation: Vec<Evaluation>,
    training: Training,
}

#[derive(Deserialize)]
struct Evaluation {
    side: usize,
    features: Vec<f64>,
}

#[derive(Deserialize)]
struct Training {
    features: Vec<f64>,
    gradients: BTreeMap<String, Gradient>,
    running: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Gradient {
    norm: f64,
    first: Vec<f64>,
}

fn fixture(name: &str) -> PathBuf {
    // Where the tests run, which is the package's root. Not the folder they were compiled in: a
    // cached binary outlives it.
    Path::new("assets/fixtures").join(name)
}

fn reference() -> Reference {
    serde_json::from_slice(&std::fs::read(fixture("googlenet.json")).unwrap()).unwrap()
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

/// The tensor of this name in torchvision's state dictionary.
fn state(name: &str, shape: &[usize]) -> Vec<f32> {
    let value = |u: f64| match shape {
        [_, input, rows, columns] => u * (24.0 / (input * rows * columns) as f64).sqrt(),
        _ if name.ends_with("bn.weight") => 1.0 + 0.2 * u,
        _ if name.ends_with("running_var") => 1.0 + 0.5 * u,
        _ => 0.2 * u,
    };
    let count = shape.iter().product();
    formula(name, count)
        .into_iter()
        .map(|u| value(u) as f32)
        .collect()
}

fn images<Back: Backend>(n: usize, side: usize) -> Tensor<Back, 4> {
    let pixels = formula(&format!("images {n} {side}"), n * 3 * side * side);
    let pixels: Vec<f32> = pixels.into_iter().map(|u| 4.0 * u as f32).collect();
    Tensor::from_data(
        TensorData::new(pixels, [n, 3, side, side]),
        &Default::default(),
    )
}

/// Names and shapes of a module's tensors as PyTorch has them.
fn torch_shapes<Back: Backend, M: ModuleSnapshot<Back>>(
    module: &M,
) -> BTreeMap<String, Vec<usize>> {
    let tensors = module.collect(None, None, false).into_iter();
    let shape = |shape: Vec<usize>| match shape[..] {
        [rows, columns, input, output] => vec![output, input, rows, columns],
        _ => shape,
    };
    tensors
        .map(|tensor| {
            (
                torch_name(&tensor.full_path()),
                shape(tensor.shape.to_vec()),
            )
        })
        .collect()
}

/// Writes a `.safetensors` file of the formula's tensors.
fn write_weights(path: &Path, shapes: &BTreeMap<String, Vec<usize>>) {
    let mut header = serde_json::Map::new();
    let mut bytes = Vec::new();
    for (name, shape) in shapes {
        let start = bytes.len();
        bytes.extend(state(name, shape).iter().flat_map(|x| x.to_le_bytes()));
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()]}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
    std::fs::write(path, file).unwrap();
}

/// GoogLeNet with the formula's weights, loaded from a file with torchvision's names. Images are
/// not re-scaled, as the reference's are not.
fn googlenet<Back: Backend>(path: ComputePath) -> Embedder<Back> {
    let device = Default::default();
    let network = GoogLeNet::<Back>::new(path, &device);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("googlenet.safetensors");
    let mut shapes = torch_shapes(&network);
    shapes.insert("fc.bias".into(), vec![1000]);
    shapes.insert("aux1.conv.bn.bias".into(), vec![128]);
    write_weights(&file, &shapes);
    let network = load_weights(network, &file).unwrap();
    let config = EmbedderConfig::from(&ModelConfig {
        backbone: Backbone::GoogLeNet,
        ..ModelConfig::default()
    });
    let mut embedder = config.init(&device);
    embedder.backbone = BackboneNetwork::GoogLeNet(network);
    embedder
}

fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The largest difference, relative to `scale`.
fn difference(found: &[f64], expected: &[f64], scale: f64) -> f64 {
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[test]
fn features_are_torchvisions_at_even_and_odd_sizes() {
    for path in [ComputePath::Rows, ComputePath::Native] {
        let network = googlenet::<B>(path);
        for case in reference().evaluation {
            let features = values(network.pooled_features(images(2, case.side)));
            assert_eq!(features.len(), case.features.len());
            let error = difference(&features, &case.features, largest(&case.features));
            println!("{path:?} {}: {error:e}", case.side);
            assert!(
                error < FORWARD_TOLERANCE,
                "{path:?} {}: {error:e}",
                case.side
            );
        }
    }
}

#[test]
fn training_step_is_torchvisions() {
    for path in [ComputePath::Rows, ComputePath::Native] {
        let expected = reference().training;
        let embedder = googlenet::<AB>(path);
        let features = embedder.pooled_features(images(4, 96));
        let first = values(features.clone())[..1024].to_vec();
        let error = difference(&first, &expected.features, largest(&expected.features));
        println!("{path:?} features: {error:e}");
        assert!(error < 10.0 * FORWARD_TOLERANCE, "{path:?}: {error:e}");

        let probe: Vec<f32> = formula("probe", 4096).iter().map(|&u| u as f32).collect();
        let probe = Tensor::from_data(TensorData::new(probe, [4, 1024]), &Default::default());
        let gradients = (features * probe).sum().backward();
        let gradients = Gradients::of(&embedder, &gradients);
        for (key, expected) in expected.gradients {
            let found = &gradients.0[&key];
            let norm = found.iter().map(|g| g * g).sum::<f64>().sqrt();
            let error = difference(
                &found[..expected.first.len()],
                &expected.first,
                expected.norm,
            )
            .max((norm / expected.norm - 1.0).abs());
            println!("{path:?} {key}: {error:e}");
            assert!(error < GRADIENT_TOLERANCE, "{path:?} {key}: {error:e}");
        }

        // Running statistics are read where they will be used: in the network for inference.
        let BackboneNetwork::GoogLeNet(network) =
            burn::module::AutodiffModule::valid(&embedder).backbone
        else {
            unreachable!("the backbone was made above");
        };
        let tensors = network.collect(None, None, false);
        for (key, expected) in expected.running {
            let tensor = tensors.iter().find(|t| torch_name(&t.full_path()) == key);
            let found: Vec<f64> = tensor.unwrap().to_data().unwrap().iter().collect();
            let error = difference(&found, &expected, largest(&expected));
            println!("{path:?} {key}: {error:e}");
            assert!(
                error < FORWARD_TOLERANCE * 10.0,
                "{path:?} {key}: {error:e}"
            );
        }
    }
}

/// Gradients by PyTorch's names, in PyTorch's order of axes.
struct Gradients(BTreeMap<String, Vec<f64>>);

impl Gradients {
    fn of(
        embedder: &Embedder<AB>,
        gradients: &<AB as burn::tensor::backend::AutodiffBackend>::Gradients,
    ) -> Self {
        let BackboneNetwork::GoogLeNet(network) = &embedder.backbone else {
            unreachable!("these tests have one backbone");
        };
        let paths = network.collect(None, None, false).into_iter();
        let names = paths
            .filter_map(|tensor| Some((tensor.tensor_id?, torch_name(&tensor.full_path()))))
            .collect();
        let mut visitor = GradientVisitor {
            gradients,
            names,
            found: BTreeMap::new(),
        };
        burn::module::Module::visit(network, &mut visitor);
        Self(visitor.found)
    }
}

struct GradientVisitor<'a> {
    gradients: &'a <AB as burn::tensor::backend::AutodiffBackend>::Gradients,
    names: std::collections::HashMap<ParamId, String>,
    found: BTreeMap<String, Vec<f64>>,
}

impl burn::module::ModuleVisitor<AB> for GradientVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
        let Some(gradient) = parameter.val().grad(self.gradients) else {
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

fn block() -> ConvolutionBlock<B> {
    let convolution = ConvolutionConfig::new(2, 3, 3).with_padding(1);
    ConvolutionBlockConfig::new(convolution).init(&Default::default())
}

#[test]
fn state_dictionary_written_by_pytorch_is_loaded() {
    let block = load_weights(block(), &fixture("convolution_block.pth")).unwrap();
    for tensor in block.collect(None, None, false) {
        let key = tensor.full_path();
        let found = tensor.to_data().unwrap().into_vec::<f32>().unwrap();
        let expected = match key.as_str() {
            "conv.weight" => {
                let torch = state(&key, &[3, 2, 3, 3]);
                let torch = Tensor::<B, 4>::from_data(
                    TensorData::new(torch, [3, 2, 3, 3]),
                    &Default::default(),
                );
                let own = torch.permute([2, 3, 1, 0]);
                own.into_data().into_vec().unwrap()
            }
            _ => state(&key, &[3]),
        };
        assert_eq!(found, expected, "{key}");
    }
}

/// What loading a file of these names and shapes into [`block`] says.
fn refusal(change: impl FnOnce(&mut BTreeMap<String, Vec<usize>>)) -> WeightsError {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block.safetensors");
    let mut shapes = torch_shapes(&block());
    change(&mut shapes);
    write_weights(&file, &shapes);
    load_weights(block(), &file).unwrap_err()
}

#[test]
fn missing_weights_are_named() {
    let error = refusal(|shapes| drop(shapes.remove("bn.running_var")));
    assert!(matches!(&error, WeightsError::Missing { keys, .. } if keys == &["bn.running_var"]));
    assert!(
        error.to_string().contains("block.safetensors lacks 1"),
        "{error}"
    );
}

#[test]
fn unknown_weights_are_named() {
    let error = refusal(|shapes| drop(shapes.insert("conv.bias".into(), vec![3])));
    assert!(matches!(&error, WeightsError::Unknown { keys, .. } if keys == &["conv.bias"]));
}

#[test]
fn weights_of_another_shape_are_refused_with_both_shapes() {
    let error = refusal(|shapes| drop(shapes.insert("conv.weight".into(), vec![3, 2, 1, 1])));
    let text = error.to_string();
    assert!(
        text.contains("[3, 2, 1, 1]") && text.contains("[3, 2, 3, 3]"),
        "{text}"
    );
}

#[test]
fn files_that_hold_no_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["text.pth", "text.pt", "text.safetensors", "empty.pth"] {
        let file = folder.path().join(name);
        let content = if name.starts_with("text") {
            "not weights, only words"
        } else {
            ""
        };
        std::fs::write(&file, content).unwrap();
        let error = load_weights(block(), &file).unwrap_err();
        assert!(
            !matches!(error, WeightsError::NotFound { .. }),
            "{name}: {error}"
        );
    }
    let absent = load_weights(block(), Path::new("absent.pth")).unwrap_err();
    assert!(matches!(absent, WeightsError::NotFound { .. }));
    let picture = load_weights(block(), Path::new("picture.png")).unwrap_err();
    assert!(matches!(picture, WeightsError::UnknownFormat { .. }));
}
