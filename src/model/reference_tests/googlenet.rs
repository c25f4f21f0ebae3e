//! GoogLeNet compared with torchvision's.

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
