//! Batches of images that are uploaded in every mode: their values are the host's, bit for bit, whatever the device
//! computes while the next batch is uploaded.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use image::{Rgb, RgbImage};
use libtest_mimic::Trial;
use loop_dml::backend::{ComputeContext, Cpu};
use loop_dml::config::Config;
use loop_dml::data::config::{BatchConfig, LoadingConfig, TransformConfig};
use loop_dml::data::{
    EpochSchedule, ImageBatch, ImageError, ImageUpload, Images, LoaderErrors, PairSampler, Split,
    SplitLoader, TrainLoader, Transform, UploadMode,
};
use loop_dml::progress::Monitor;
use loop_dml::training::{self, SplitEmbeddings};

use crate::training::{algorithm, embedder};
use crate::{Findings, relative_error, values};

/// Images of noise, in which every byte occurs.
struct Noise {
    side: u32,
}

impl Images for Noise {
    fn image(&self, index: usize, _: Option<u32>) -> Result<RgbImage, ImageError> {
        let byte = |x: u32, y: u32, channel: u32| {
            let at = (index as u32 * self.side + y) * self.side + x;
            (at.wrapping_mul(2_654_435_761).wrapping_add(channel) >> 13) as u8
        };
        Ok(RgbImage::from_fn(self.side, self.side, |x, y| {
            Rgb([0, 0x1234_5678, 0x0f0f_0f0f].map(|channel| byte(x, y, channel)))
        }))
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }
}

fn split(classes: usize, side: usize) -> Arc<Split> {
    let names = (0..classes).map(|class| class.to_string()).collect();
    let labels = (0..2 * classes).map(|image| image / 2).collect();
    let images = Noise { side: side as u32 };
    Arc::new(Split::new("train", names, labels, Arc::new(images)))
}

fn transform(side: usize) -> Transform {
    let config = TransformConfig {
        image_size: side,
        resize: side + 3,
        ..Default::default()
    };
    Transform::new(&config).expect("the sizes are valid")
}

fn loading() -> LoadingConfig {
    LoadingConfig {
        workers: 2,
        prefetch: 2,
        ..Default::default()
    }
}

fn upload<B: Backend>(mode: UploadMode) -> ImageUpload<B> {
    let device = Default::default();
    ImageUpload { device, mode }
}

/// The modes of a backend. Fused backends upload in the thread that takes the batches.
fn modes(backend: &str) -> Vec<UploadMode> {
    match backend {
        "cpu" => vec![UploadMode::Bytes, UploadMode::BytesAhead],
        name if name.ends_with("fusion") => vec![UploadMode::Bytes],
        _ => vec![UploadMode::BytesAhead, UploadMode::Bytes],
    }
}

/// The bits of every image of `split`, in batches of `batch_size`.
fn bits<B: Backend>(
    split: &Arc<Split>,
    side: usize,
    batch_size: usize,
    mode: UploadMode,
) -> Vec<u32> {
    let loader = SplitLoader::<B>::new(
        split.clone(),
        transform(side),
        batch_size,
        EpochSchedule::Always,
        &loading(),
        LoaderErrors::default(),
        upload(mode),
    );
    let images = loader.iter().flat_map(|batch| {
        let data = batch.images.into_data().convert::<f32>();
        data.into_vec::<f32>().expect("converted to f32")
    });
    images.map(f32::to_bits).collect()
}

fn check_bits<B: Backend>(backend: &str, findings: &mut Findings) {
    // Bytes of a batch: odd, even, a multiple of 4, powers of two, and a smaller last batch.
    for (classes, side, batch_size) in [
        (1, 1, 1),
        (2, 1, 3),
        (1, 2, 2),
        (2, 3, 3),
        (3, 4, 6),
        (2, 5, 4),
        (4, 8, 8),
        (3, 17, 5),
        (4, 31, 3),
        (8, 32, 16),
        (2, 64, 4),
    ] {
        let split = split(classes, side);
        let expected = bits::<Cpu>(&split, side, batch_size, UploadMode::Normalized);
        for mode in modes(backend) {
            let found = bits::<B>(&split, side, batch_size, mode);
            let wrong = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            findings.check(wrong == 0 && found.len() == expected.len(), || {
                let count = expected.len();
                format!("{mode:?}, {batch_size} images of side {side}: {wrong} of {count} values")
            });
        }
    }
}

const SIDE: usize = 32;
const EPOCHS: usize = 3;

/// The mean of each training image, of all epochs. The device is busy while the next batch is uploaded, and images
/// are dropped, so that their memory is reused.
fn means<B: Backend>(mode: UploadMode) -> Vec<f64> {
    let split = split(24, SIDE);
    let batch = BatchConfig {
        classes: 4,
        images_per_class: 2,
        ..Default::default()
    };
    let sampler = PairSampler::new(split.labels(), &batch, 5).expect("classes have two images");
    let loader = TrainLoader::<B>::new(
        split,
        sampler,
        transform(SIDE),
        1..EPOCHS + 1,
        &loading(),
        LoaderErrors::default(),
        upload(mode),
    );
    let device = Default::default();
    let factor = TensorData::new(vec![1.0 / 512.0_f32; 512 * 512], [512, 512]);
    let factor = Tensor::<B, 2>::from_data(factor, &device);
    let mut means = Vec::new();
    for _ in 0..EPOCHS {
        for batch in loader.iter() {
            let batch: ImageBatch<B> = batch;
            // The product delays the images: it is queued before they are read.
            let delay = factor.clone().matmul(factor.clone()).matmul(factor.clone());
            let zero = delay.slice([0..1, 0..1]) * 0.0;
            let rows = batch.images.reshape([8, 3 * SIDE * SIDE]);
            means.push(rows.mean_dim(1) + zero);
        }
    }
    means.into_iter().flat_map(|means| values(means)).collect()
}

fn check_reuse<B: Backend>(backend: &str, findings: &mut Findings) {
    let expected = means::<Cpu>(UploadMode::Normalized);
    for mode in modes(backend) {
        let found = means::<B>(mode);
        findings.check(found.len() == expected.len(), || {
            format!("{mode:?}: {} images", found.len())
        });
        for (image, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // Sums of 3072 f32 near 1, in another order. The means of two images differ by 0.02 or so.
            findings.check((found - expected).abs() < 1e-5, || {
                format!("{mode:?}, image {image}: mean {found} instead of {expected}")
            });
        }
    }
}

/// The embeddings of a split, which are read a batch late, and its labels and indices.
fn embeddings<B: Backend>(backend: &str, mode: UploadMode) -> SplitEmbeddings {
    let overrides = [
        "model.backbone=conv4",
        "model.embedding_dim=16",
        "data.image_size=32",
        "data.resize=36",
        "evaluation.batch_size=7",
    ];
    let overrides = overrides.map(String::from);
    let config = Config::parse("", "a test", &overrides).expect("the configuration is valid");
    let compute = ComputeContext {
        device: Default::default(),
        conv: algorithm(backend),
        in_process: backend == "cpu",
        upload: mode,
    };
    let network = embedder::<B>(&config, compute.conv);
    let split = split(9, SIDE);
    let monitor = Monitor::none();
    let embedded = training::embed_split(&network, &config, &split, &compute, monitor);
    embedded.expect("every image can be embedded").0
}

fn check_embeddings<B: Backend>(backend: &str, findings: &mut Findings) {
    let expected = embeddings::<Cpu>("cpu", UploadMode::Normalized);
    for mode in modes(backend) {
        let found = embeddings::<B>(backend, mode);
        let order = found.labels() == expected.labels() && found.indices() == expected.indices();
        findings.check(order, || format!("{mode:?}: labels or indices"));
        let [found, expected] = [&found, &expected].map(|embeddings| {
            let values = embeddings.values().iter();
            values.map(|&value| f64::from(value)).collect::<Vec<_>>()
        });
        // Another order of sums in four layers; 11 bits of factors on CUDA.
        let allowed = if backend.starts_with("cuda") {
            1e-2
        } else {
            1e-4
        };
        let error = relative_error(&found, &expected, 1.0);
        findings.check(error < allowed, || format!("{mode:?}: error {error}"));
    }
}

/// Adds the tests of a whole network, which fused backends do not run.
pub(crate) fn network_trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    add(backend, "embeddings", check_embeddings::<B>, trials);
}

/// Adds the tests of batches.
pub(crate) fn trials<B: Backend>(backend: &str, trials: &mut Vec<Trial>) {
    add(backend, "bits", check_bits::<B>, trials);
    add(backend, "busy device", check_reuse::<B>, trials);
}

fn add(backend: &str, what: &str, check: fn(&str, &mut Findings), trials: &mut Vec<Trial>) {
    let backend = backend.to_string();
    trials.push(Trial::test(
        format!("{backend}::images::{what}"),
        move || {
            let mut findings = Findings::default();
            check(&backend, &mut findings);
            findings.result()
        },
    ));
}
