//! Weights with the names of other libraries, compared with their features.
//!
//! `assets/fixtures/other_libraries.py` wrote the expected numbers. Every tensor is computed from its name in
//! the library, so the features agree only if every name is of the same layer.

use std::collections::BTreeMap;

use super::{
    B, Design, FORWARD_TOLERANCE, fixture, images, pooled, sample_error, tensors, torch_shapes,
    write_weights,
};
use crate::model::config::Backbone;
use crate::model::weights::{NamingScheme, WeightsNote, load_weights};
use crate::model::{BackboneNetwork, ConvAlgorithm};

/// Pixels of a side of the images.
const SIDE: usize = 64;

/// Compares features with those of a library, whose key is `library`.
fn check(backbone: Backbone, scheme: NamingScheme, library: &str) {
    let expected: BTreeMap<String, Vec<f64>> =
        serde_json::from_slice(&std::fs::read(fixture("other_libraries.json")).unwrap()).unwrap();
    let network =
        BackboneNetwork::<B>::new(backbone, ConvAlgorithm::default(), &Default::default());
    let shapes = torch_shapes(tensors(&network)).into_iter();
    let named = shapes.map(|(name, shape)| (scheme.name(&name).unwrap(), shape));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    write_weights(&file, &named.collect(), Design::Usual);

    let loaded = load_weights(network, &file).unwrap();
    assert_eq!(loaded.notes, [WeightsNote::Naming(scheme)]);
    let features = pooled(loaded.module.forward(images(2, SIDE)));
    let error = sample_error(&features, &expected[library]);
    assert!(error < FORWARD_TOLERANCE, "{library}: {error:e}");
}

#[test]
fn timms_efficientnet_lite0_has_the_same_features() {
    check(Backbone::EfficientNetLite0, NamingScheme::Timm, "timm");
}

#[test]
fn hugging_faces_resnet50_has_the_same_features() {
    check(
        Backbone::ResNet50,
        NamingScheme::HuggingFace,
        "hugging_face",
    );
}

#[test]
fn sequences_of_torchvisions_children_have_the_same_features() {
    for (backbone, library) in [
        (Backbone::ResNet50, "sequential_resnet50"),
        (Backbone::GoogLeNet, "sequential_googlenet"),
    ] {
        check(backbone, NamingScheme::Sequential, library);
    }
}
