//! PyTorch's names for the tensors of the backbones.

use crate::model::backbones::TORCH_NAMES;

/// Prefixes of the names of classifiers: those of the original networks and of timm's, GoogLeNet's auxiliary
/// heads, and usual names of others.
const CLASSIFIERS: [&str; 7] = [
    "fc.",
    "_fc.",
    "aux1.",
    "aux2.",
    "classifier.",
    "head.",
    "last_linear.",
];

/// PyTorch's count of training steps in every batch norm, which is used only without momentum.
const STEP_COUNT: &str = "num_batches_tracked";

/// Words in the prefixes of moving averages of a network, which training keeps beside it: exponential moving
/// averages, BYOL's target, MoCo's key encoder.
const AVERAGES: [&str; 10] = [
    "ema", "momentum", "target", "k", "key", "avg", "average", "averaged", "swa", "shadow",
];

/// PyTorch's name for a parameter of this crate's backbones.
pub(crate) fn torch_name(path: &str) -> String {
    let names = TORCH_NAMES.into_iter().flatten();
    names.fold(path.to_string(), |name, (own, torch)| {
        name.replace(own, torch)
    })
}

/// Whether the name, without a prefix, is that of a classifier's tensor.
pub(super) fn is_classifier(name: &str) -> bool {
    CLASSIFIERS.iter().any(|start| name.starts_with(start))
}

/// Whether the name is that of a part of an optimizer's state: `optimizer_states.0.state.1.exp_avg`.
pub(super) fn is_optimizer(name: &str) -> bool {
    name.split('.').any(|part| part.starts_with("optim"))
}

/// Whether the name is that of a batch norm's count of training steps.
pub(super) fn is_step_count(name: &str) -> bool {
    name.rsplit('.').next() == Some(STEP_COUNT)
}

/// Whether the prefix is that of a moving average of a network.
pub(super) fn is_average(prefix: &str) -> bool {
    let mut words = prefix.split(|c: char| !c.is_alphanumeric());
    words.any(|word| AVERAGES.contains(&word.to_lowercase().as_str()))
}
