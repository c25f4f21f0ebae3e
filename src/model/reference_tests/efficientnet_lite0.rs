//! EfficientNet-Lite0 against that of efficientnet_lite_pytorch.

use super::Original;
use crate::model::config::Backbone;

const ORIGINAL: Original = Original {
    backbone: Backbone::EfficientNetLite0,
    fixture: "efficientnet_lite0.json",
    unused: &[("_fc.weight", &[1000, 1280]), ("_fc.bias", &[1000])],
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
