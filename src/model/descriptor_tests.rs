//! Tests of embeddings with several descriptors, and of checkpoints without `pooling`.

use burn::{
    module::Module,
    nn::Linear,
    record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder},
    tensor::{Tensor, TensorData, backend::Backend},
};

use super::{BackboneNetwork, Embedder, EmbedderConfig};
use crate::model::config::{Descriptor, ModelConfig, Pooling};

type Flex = burn_flex::Flex;

/// The number of Conv4's features.
const FEATURES: usize = 128;

/// An embedder with three descriptors of Conv4's features.
fn combination(embedding_dim: usize, normalize: bool) -> Embedder<Flex> {
    let descriptors = [Descriptor::Gem, Descriptor::Average, Descriptor::Max];
    let config = ModelConfig {
        pooling: Pooling(descriptors.to_vec()),
        embedding_dim,
        normalize,
        ..ModelConfig::default()
    };
    EmbedderConfig::from(&config).init(&Default::default())
}

fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    tensor.into_data().to_vec().unwrap()
}

/// Images of values in [−1, 1].
fn images(n: usize) -> Tensor<Flex, 4> {
    let shape = [n, 3, 32, 32];
    let count = shape.iter().product::<usize>();
    let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
    Tensor::from_data(TensorData::new(wave, shape), &Default::default())
}

#[test]
fn each_descriptor_has_a_dense_layer_and_a_part_of_the_embedding() {
    for normalize in [true, false] {
        let embedder = combination(12, normalize);
        let features = embedder.pooled_features(images(2));
        assert_eq!(features.dims(), [2, 3 * FEATURES]);
        let features = values(features);
        let weights = values(embedder.head.weight.val());
        for (n, found) in values(embedder.forward(images(2))).chunks(12).enumerate() {
            let output = |i: usize| -> f64 {
                // The first descriptor has outputs 0 to 3, the second 4 to 7, the third the rest.
                let x = &features[(n * 3 + i / 4) * FEATURES..][..FEATURES];
                let terms = x.iter().enumerate();
                terms
                    .map(|(k, &x)| f64::from(x) * f64::from(weights[k * 12 + i]))
                    .sum()
            };
            let mut expected: Vec<f64> = (0..12).map(output).collect();
            if normalize {
                for part in expected.chunks_mut(4) {
                    let length = part.iter().map(|x| x * x).sum::<f64>().sqrt();
                    // Three parts of unit length have a total length of √3.
                    part.iter_mut().for_each(|x| *x /= length * 3_f64.sqrt());
                }
            }
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 1e-5, "{normalize}: {found} {expected}");
            }
        }
    }
}

#[test]
fn descriptors_have_the_configured_order() {
    let features = values(combination(12, true).pooled_features(images(1)));
    let [gem, average, max] = [0, 1, 2].map(|i| &features[i * FEATURES..][..FEATURES]);
    for c in 0..FEATURES {
        // Means increase with the power, up to rounding and GeM's smallest activation.
        assert!(average[c] <= gem[c] + 2e-6 && gem[c] <= max[c] + 2e-6);
    }
    assert!(average.iter().zip(max).any(|(average, max)| average < max));
}

#[test]
fn each_of_several_dense_layers_starts_within_the_published_bound() {
    // Layers of 128 features and 128 outputs each.
    let bound = (2.0_f32 / 128.0).sqrt();
    let weights = values(combination(3 * 128, true).head.weight.val());
    let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    assert!(largest <= bound && largest > 0.999 * bound, "{largest}");
}

/// The network of checkpoints from before `pooling` was an option.
#[derive(Module, Debug)]
struct AverageOnly<B: Backend> {
    backbone: BackboneNetwork<B>,
    head: Linear<B>,
    rescale: bool,
    normalize: bool,
}

#[test]
fn checkpoints_from_before_pooling_was_an_option_are_read() {
    let device = Default::default();
    let config = EmbedderConfig::from(&ModelConfig::default());
    let written = config.init::<Flex>(&device);
    let expected = values(written.forward(images(2)));
    let old = AverageOnly {
        backbone: written.backbone,
        head: written.head,
        rescale: false,
        normalize: true,
    };
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::default();
    let bytes = Recorder::<Flex>::record(&recorder, old.into_record(), ()).unwrap();
    let record = Recorder::<Flex>::load(&recorder, bytes, &device).unwrap();
    let read = config.init::<Flex>(&device).load_record(record);
    assert_eq!(values(read.forward(images(2))), expected);
}
