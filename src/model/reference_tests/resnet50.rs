//! ResNet-50 compared with torchvision's.

use super::Original;
use crate::model::config::Backbone;

const ORIGINAL: Original = Original {
    backbone: Backbone::ResNet50,
    fixture: "resnet50.json",
    unused: &[("fc.weight", &[1000, 2048]), ("fc.bias", &[1000])],
};

#[test]
fn names_equal_the_originals() {
    ORIGINAL.check_names();
}

#[test]
fn features_equal_the_originals_at_even_and_odd_sizes() {
    ORIGINAL.check_features();
}

#[test]
fn training_step_equals_the_originals() {
    ORIGINAL.check_training_step();
}
