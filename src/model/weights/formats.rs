//! The formats of weights files.

use std::collections::BTreeMap;
use std::path::Path;

use burn_store::{ModuleStore, SafetensorsStore, TensorSnapshot};

use super::error::{WeightsError, unreadable};
use super::pth::read_pth;
use crate::shorten::shorten;

/// The format of a weights file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeightsFormat {
    /// A PyTorch state dictionary.
    Pth,
    Safetensors,
}

/// Returns the format of the file at `path` by its name, if the file exists.
///
/// # Errors
/// [`WeightsError::UnknownFormat`] and [`WeightsError::NotFound`].
pub(super) fn check_file(path: &Path) -> Result<WeightsFormat, WeightsError> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let format = match extension.as_deref() {
        Some("pth" | "pt") => WeightsFormat::Pth,
        Some("safetensors") => WeightsFormat::Safetensors,
        _ => return Err(WeightsError::UnknownFormat { path: path.into() }),
    };
    match path.is_file() {
        true => Ok(format),
        false => Err(WeightsError::NotFound { path: path.into() }),
    }
}

/// Returns every tensor of a PyTorch state dictionary (`.pth`, `.pt`) or of a `.safetensors` file by its
/// name, with PyTorch's shape. A tensor's values are read when its data is requested.
///
/// # Errors
/// If the file does not exist, or is not a weights file.
pub fn read_state_dict(path: &Path) -> Result<BTreeMap<String, TensorSnapshot>, WeightsError> {
    match check_file(path)? {
        WeightsFormat::Pth => read_pth(path).map_err(|error| unreadable(path, error)),
        WeightsFormat::Safetensors => {
            let tensors = read_safetensors(SafetensorsStore::from_file(path));
            tensors.map_err(|error| unreadable(path, shorten(&error)))
        }
    }
}

/// Returns every tensor of a safetensors file by its name. The error is the reader's message.
pub(super) fn read_safetensors(
    store: SafetensorsStore,
) -> Result<BTreeMap<String, TensorSnapshot>, String> {
    // By default the store would rename `branch4.1` to `branch4.0`.
    let mut store = store.map_indices_contiguous(false);
    let tensors = store.get_all_snapshots();
    Ok(tensors.map_err(|error| error.to_string())?.clone())
}
