//! ResNet-50 against torchvision's.

use super::Original;
use crate::model::config::Backbone;

const ORIGINAL: Original = Original {
    backbone: Backbone::ResNet50,
    fixture: "resnet50.json",
    unused: &[("fc.weight", &[1000, 2048]), ("fc.bias", &[1000])],
};

#[test]
fn names_are_the_originals() {
    ORIGINAL.names_are_its();
}

#[test]
fn features_are_the_originals_at_even_and_odd_sizes() {
    ORIGINAL.features_are_its();
}

#[test]
fn training_step_is_the_originals() {
    ORIGINAL.training_step_is_its();
}
