//! The contents of a weights file of any format.

use std::collections::BTreeMap;

use burn_store::TensorSnapshot;

use super::unsupported::UnsupportedTensor;

/// What a weights file has, by name. Names in nested dictionaries are joined by dots.
pub(super) type Contents = BTreeMap<String, Entry>;

/// What a weights file has under a name.
pub(super) enum Entry {
    Tensor(SourceTensor),
    Unsupported(UnsupportedTensor),
}

/// A tensor of a file, with PyTorch's shape. Its values are read when its data is requested.
pub(super) struct SourceTensor {
    pub(super) snapshot: TensorSnapshot,
    /// The place of its numbers in the file and its shape, if tensors of the format can share numbers:
    /// equal for tied tensors.
    pub(super) storage: Option<String>,
    /// Whether its name up to the first dot is the key of a dictionary in the file's outermost one.
    pub(super) is_nested: bool,
}

impl Entry {
    pub(super) fn tensor(&self) -> Option<&SourceTensor> {
        match self {
            Self::Tensor(tensor) => Some(tensor),
            Self::Unsupported(_) => None,
        }
    }

    /// Whether it is a tensor, even one that is not read.
    pub(super) fn is_any_tensor(&self) -> bool {
        !matches!(self, Self::Unsupported(UnsupportedTensor::Object(_)))
    }
}
