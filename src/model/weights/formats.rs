//! The formats of weights files, which are known by their content, not by their names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use burn_store::TensorSnapshot;

use super::contents::{Contents, Entry};
use super::error::{WeightsError, unreadable};
use super::other_file::OtherFile;
use super::pth::{is_pth, read_pth};
use super::safetensors::{is_run_checkpoint, is_safetensors, read_safetensors};

/// The format of a weights file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeightsFormat {
    /// A file written by `torch.save`.
    Pth,
    Safetensors,
}

/// Returns the format of the file at `path`.
///
/// # Errors
/// If it does not exist, cannot be read, or is not a weights file.
pub(super) fn check_file(path: &Path) -> Result<WeightsFormat, WeightsError> {
    /// The number of first bytes that are compared.
    const START: u64 = 4096;

    let other = |file| WeightsError::OtherFile {
        path: path.into(),
        file,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(other(OtherFile::Folder)),
        // Devices and pipes have no end.
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(other(OtherFile::Device)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(unreadable(path, error));
        }
        Err(_) => return Err(WeightsError::NotFound { path: path.into() }),
    }
    let mut start = Vec::new();
    let file = File::open(path);
    file.and_then(|file| file.take(START).read_to_end(&mut start))
        .map_err(|error| unreadable(path, error))?;
    match start {
        start if is_pth(&start) => Ok(WeightsFormat::Pth),
        start if is_safetensors(&start) && is_run_checkpoint(&start) => {
            Err(other(OtherFile::RunCheckpoint))
        }
        start if is_safetensors(&start) => Ok(WeightsFormat::Safetensors),
        start => Err(other(OtherFile::recognise(&start))),
    }
}

/// Returns what the weights file at `path` has by name.
///
/// # Errors
/// If it does not exist, or is not a weights file.
pub(super) fn read_contents(path: &Path) -> Result<Contents, WeightsError> {
    match check_file(path)? {
        WeightsFormat::Pth => read_pth(path).map_err(|error| unreadable(path, error)),
        WeightsFormat::Safetensors => {
            read_safetensors(path).map_err(|error| unreadable(path, error))
        }
    }
}

/// Returns every tensor of a file written by `torch.save` (`.pth`, `.pt`, `.ckpt`, `.bin`) or of a
/// `.safetensors` file by its name, with PyTorch's shape. Names in nested dictionaries are joined by dots. A
/// tensor's values are read when its data is requested.
///
/// # Errors
/// If the file does not exist, or is not a weights file.
pub fn read_state_dict(path: &Path) -> Result<BTreeMap<String, TensorSnapshot>, WeightsError> {
    let tensors = read_contents(path)?.into_iter();
    Ok(tensors
        .filter_map(|(name, entry)| match entry {
            Entry::Tensor(tensor) => Some((name, tensor.snapshot)),
            Entry::Unsupported(_) => None,
        })
        .collect())
}
