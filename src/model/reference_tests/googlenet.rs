//! GoogLeNet against torchvision's.

use super::Original;
use crate::model::config::Backbone;

const ORIGINAL: Original = Original {
    backbone: Backbone::GoogLeNet,
    fixture: "googlenet.json",
    unused: &[
        ("fc.weight", &[1000, 1024]),
        ("fc.bias", &[1000]),
        ("aux1.conv.conv.weight", &[128, 512, 1, 1]),
        ("aux2.conv.bn.num_batches_tracked", &[]),
    ],
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
