//! PyTorch's names for the tensors of the backbones.

use crate::model::backbones::TORCH_NAMES;

/// Prefixes of names in the original networks that the backbones do not use: the classifiers and
/// GoogLeNet's auxiliary heads.
const UNUSED_PREFIXES: [&str; 4] = ["fc.", "aux1.", "aux2.", "_fc."];

/// PyTorch's count of training steps in every batch norm, which is used only without momentum.
const UNUSED_SUFFIX: &str = ".num_batches_tracked";

/// PyTorch's name for a parameter of this crate's backbones.
pub(crate) fn torch_name(path: &str) -> String {
    let names = TORCH_NAMES.into_iter().flatten();
    names.fold(path.to_string(), |name, (own, torch)| {
        name.replace(own, torch)
    })
}

/// Whether the tensor `key` of a file is ignored.
pub(super) fn is_unused(key: &str) -> bool {
    key.ends_with(UNUSED_SUFFIX) || UNUSED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}
