//! Pretrained backbone weights from PyTorch state dictionaries (`.pth`, `.pt`) and `.safetensors`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use burn::{
    module::ParamId,
    tensor::{DType, TensorData, backend::Backend},
};
use burn_store::{ModuleSnapshot, ModuleStore, PytorchStore, SafetensorsStore, TensorSnapshot};

use super::torch_layout::TorchLayout;

/// Names in torchvision's GoogLeNet that a backbone has no use for: the classifier and the
/// auxiliary heads.
const UNUSED_PREFIXES: [&str; 3] = ["fc.", "aux1.", "aux2."];

/// PyTorch's count of training steps in every batch norm; it is only used without momentum.
const UNUSED_SUFFIX: &str = ".num_batches_tracked";

/// torchvision's name for the block after the pool of an inception block, and this crate's.
const POOLED_BRANCH: (&str, &str) = (".branch4.1.", ".branch4.");

/// Why weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// There is no file at the path.
    #[error("no weights file {0}: correct model.weights, or leave it out to start from random weights", path.display())]
    NotFound {
        /// The path as configured.
        path: PathBuf,
    },
    /// The name ends neither in `.pth`, `.pt` nor `.safetensors`.
    #[error("{0} is not named as a weights file: model.weights takes .pth, .pt or .safetensors", path.display())]
    UnknownFormat {
        /// The path as configured.
        path: PathBuf,
    },
    /// The file is not what its name says.
    #[error("{0} holds no readable weights ({reason}): save a state dictionary with torch.save(model.state_dict(), …), or write .safetensors", path.display())]
    Unreadable {
        /// The path as configured.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// Weights of the backbone are not in the file.
    #[error("{0} lacks {1} of the backbone's tensors: {2}; is it a file for another backbone?", path.display(), keys.len(), listed(keys))]
    Missing {
        /// The path as configured.
        path: PathBuf,
        /// The names, as they should stand in the file.
        keys: Vec<String>,
    },
    /// The file has weights the backbone does not know.
    #[error("{0} has {1} tensors that the backbone does not know: {2}; is it a file for another backbone?", path.display(), keys.len(), listed(keys))]
    Unknown {
        /// The path as configured.
        path: PathBuf,
        /// The names in the file.
        keys: Vec<String>,
    },
    /// A tensor has another shape than the backbone's.
    #[error("{0}: {key} has shape {found:?} where the backbone needs {expected:?}; is it a file for another backbone?", path.display())]
    Shape {
        /// The path as configured.
        path: PathBuf,
        /// The name in the file.
        key: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape needed, in PyTorch's order.
        expected: Vec<usize>,
    },
}

/// The first names of a list, and how many follow.
pub(super) fn listed(keys: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = keys[..keys.len().min(SHOWN)].join(", ");
    match keys.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The module with every parameter and running statistic taken from the file at `path`.
///
/// Names are the module's own in PyTorch's spelling, which for GoogLeNet are torchvision's
/// (`conv1.conv.weight`, `inception3a.branch4.1.bn.running_var`) and for Conv4 `blocks.0.conv.weight`
/// to `blocks.3.bn.running_var`. Kernels have PyTorch's order `[C_out, C_in, k, k]`; numbers of any
/// float type are taken as single precision.
/// `fc.*`, `aux1.*`, `aux2.*` and `*.num_batches_tracked` are passed over.
///
/// # Errors
/// [`WeightsError`], if the file is not there, is no weights file, or does not fit the module in
/// full.
pub fn load_weights<B, M>(mut module: M, path: &Path) -> Result<M, WeightsError>
where
    B: Backend,
    M: ModuleSnapshot<B>,
{
    let mut found = read(path)?;
    let wanted = module.collect(None, None, false);

    let spelled: BTreeSet<String> = wanted
        .iter()
        .map(|target| torch_name(&target.full_path()))
        .collect();
    let missing: Vec<String> = spelled
        .iter()
        .filter(|key| !found.contains_key(*key))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(WeightsError::Missing {
            path: path.into(),
            keys: missing,
        });
    }
    let unknown: Vec<String> = found
        .keys()
        .filter(|key| !spelled.contains(*key) && !may_stay_unused(key))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(WeightsError::Unknown {
            path: path.into(),
            keys: unknown,
        });
    }

    let mut snapshots = Vec::with_capacity(wanted.len());
    for target in wanted {
        let key = torch_name(&target.full_path());
        if let Some(source) = found.remove(&key) {
            snapshots.push(fitted(path, &key, &source, &target)?);
        }
    }
    let result = module.apply(snapshots, None, None, false);
    match result.errors.first() {
        None => Ok(module),
        Some(error) => Err(unreadable(path, error)),
    }
}

/// Every tensor of the file by its name.
fn read(path: &Path) -> Result<BTreeMap<String, TensorSnapshot>, WeightsError> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let extension = extension.as_deref();
    if !matches!(extension, Some("pth" | "pt" | "safetensors")) {
        return Err(WeightsError::UnknownFormat { path: path.into() });
    }
    if !path.is_file() {
        return Err(WeightsError::NotFound { path: path.into() });
    }
    // The stores would renumber `branch4.1` to `branch4.0` unless told otherwise.
    if extension == Some("safetensors") {
        let mut store = SafetensorsStore::from_file(path).map_indices_contiguous(false);
        let tensors = store.get_all_snapshots();
        return Ok(tensors.map_err(|error| unreadable(path, error))?.clone());
    }
    let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
    let tensors = store.get_all_snapshots();
    Ok(tensors.map_err(|error| unreadable(path, error))?.clone())
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Unreadable {
        path: path.into(),
        reason: reason.to_string(),
    }
}

/// PyTorch's name for a parameter of this crate's modules.
pub(super) fn torch_name(path: &str) -> String {
    let (torch, own) = POOLED_BRANCH;
    path.replace(own, torch)
}

fn may_stay_unused(key: &str) -> bool {
    key.ends_with(UNUSED_SUFFIX) || UNUSED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The tensor `source` of the file, in the order and type of the parameter `target`.
fn fitted(
    path: &Path,
    key: &str,
    source: &TensorSnapshot,
    target: &TensorSnapshot,
) -> Result<TensorSnapshot, WeightsError> {
    let needed = target.shape.to_vec();
    let layout = TorchLayout::of(target);
    let expected = layout.shape(&needed);
    let found = source.shape.to_vec();
    if found != expected {
        return Err(WeightsError::Shape {
            path: path.into(),
            key: key.into(),
            found,
            expected,
        });
    }
    let data = source
        .to_data()
        .map_err(|error| unreadable(path, format!("{error:?}")))?;
    let values = data.convert_dtype(DType::F32).into_vec::<f32>();
    let values = values.map_err(|error| unreadable(path, format!("{error:?}")))?;
    let values = layout.import(values, &needed);
    Ok(TensorSnapshot::from_data(
        TensorData::new(values, needed),
        target.path_stack.clone().unwrap_or_default(),
        target.container_stack.clone().unwrap_or_default(),
        ParamId::new(),
    ))
}
