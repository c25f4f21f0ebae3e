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

use super::{
    efficientnet_lite0, googlenet,
    pickled_strides::{Layout, pickled_layouts},
    pretrained::PublishedWeightsError,
    resnet50,
    torch_layout::TorchLayout,
};

/// Names in the original networks that a backbone has no use for: the classifiers and GoogLeNet's
/// auxiliary heads.
const UNUSED_PREFIXES: [&str; 4] = ["fc.", "aux1.", "aux2.", "_fc."];

/// PyTorch's count of training steps in every batch norm; it is only used without momentum.
const UNUSED_SUFFIX: &str = ".num_batches_tracked";

/// This crate's names of parts of the networks, and the original ones. The own names are chosen so
/// that none is part of another network's names.
const TORCH_NAMES: [&[(&str, &str)]; 3] = [
    googlenet::TORCH_NAMES,
    resnet50::TORCH_NAMES,
    efficientnet_lite0::TORCH_NAMES,
];

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
    #[error("{0} is not named as a weights file: model.weights takes .pth, .pt or .safetensors, or imagenet", path.display())]
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
    /// Published weights are not at hand.
    #[error(transparent)]
    Published(#[from] PublishedWeightsError),
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
/// Names are the original network's: torchvision's for GoogLeNet (`conv1.conv.weight`,
/// `inception3a.branch4.1.bn.running_var`) and ResNet-50 (`layer1.0.downsample.0.weight`), those of
/// the package `efficientnet_lite_pytorch` for EfficientNet-Lite0
/// (`_blocks.0._depthwise_conv.weight`), and for Conv4 `blocks.0.conv.weight` to
/// `blocks.3.bn.running_var`. Kernels have PyTorch's order `[C_out, C_in, k, k]`, in whichever order
/// a `.pth` stores their numbers; numbers of any float type are taken as single precision.
/// `fc.*`, `_fc.*`, `aux1.*`, `aux2.*` and `*.num_batches_tracked` are passed over.
///
/// # Errors
/// [`WeightsError`], if the file is not there, is no weights file, or does not fit the module in
/// full.
pub fn load_weights<B, M>(mut module: M, path: &Path) -> Result<M, WeightsError>
where
    B: Backend,
    M: ModuleSnapshot<B>,
{
    let File {
        tensors: mut found,
        layouts,
    } = read(path)?;
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
            let stored = layouts.as_ref().map(|layouts| layouts.get(&key));
            snapshots.push(fitted(path, &key, &source, stored, &target)?);
        }
    }
    let result = module.apply(snapshots, None, None, false);
    match result.errors.first() {
        None => Ok(module),
        Some(error) => Err(unreadable(path, error)),
    }
}

/// The kinds of weights files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pytorch,
    Safetensors,
}

/// The kind of the file at `path`, by its name; the file is there.
///
/// # Errors
/// [`WeightsError::UnknownFormat`] and [`WeightsError::NotFound`].
pub(super) fn check_file(path: &Path) -> Result<Format, WeightsError> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let format = match extension.as_deref() {
        Some("pth" | "pt") => Format::Pytorch,
        Some("safetensors") => Format::Safetensors,
        _ => return Err(WeightsError::UnknownFormat { path: path.into() }),
    };
    match path.is_file() {
        true => Ok(format),
        false => Err(WeightsError::NotFound { path: path.into() }),
    }
}

/// What is in a weights file.
struct File {
    /// Every tensor by its name.
    tensors: BTreeMap<String, TensorSnapshot>,
    /// In which order a `.pth` stores the numbers of each; those of `.safetensors` lie row by row.
    layouts: Option<BTreeMap<String, Layout>>,
}

fn read(path: &Path) -> Result<File, WeightsError> {
    // The stores would renumber `branch4.1` to `branch4.0` unless told otherwise.
    if check_file(path)? == Format::Safetensors {
        let mut store = SafetensorsStore::from_file(path).map_indices_contiguous(false);
        let tensors = store.get_all_snapshots();
        return Ok(File {
            tensors: tensors.map_err(|error| unreadable(path, error))?.clone(),
            layouts: None,
        });
    }
    let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
    let tensors = store.get_all_snapshots();
    Ok(File {
        tensors: tensors.map_err(|error| unreadable(path, error))?.clone(),
        layouts: Some(pickled_layouts(path).map_err(|error| unreadable(path, error))?),
    })
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Unreadable {
        path: path.into(),
        reason: reason.to_string(),
    }
}

/// PyTorch's name for a parameter of this crate's modules.
pub(super) fn torch_name(path: &str) -> String {
    let names = TORCH_NAMES.into_iter().flatten();
    names.fold(path.to_string(), |name, (own, torch)| {
        name.replace(own, torch)
    })
}

fn may_stay_unused(key: &str) -> bool {
    key.ends_with(UNUSED_SUFFIX) || UNUSED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The tensor `source` of the file, in the order and type of the parameter `target`. The order in
/// which a `.pth` has `stored` it is `Some(None)` where it should be there and is not.
fn fitted(
    path: &Path,
    key: &str,
    source: &TensorSnapshot,
    stored: Option<Option<&Layout>>,
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
    let values = match stored {
        None => values,
        Some(stored) => stored
            .and_then(|stored| stored.row_by_row(&values))
            .ok_or_else(|| {
                unreadable(
                    path,
                    format!("{key} is part of a larger tensor; save it contiguous"),
                )
            })?,
    };
    let values = layout.import(values, &needed);
    Ok(TensorSnapshot::from_data(
        TensorData::new(values, needed),
        target.path_stack.clone().unwrap_or_default(),
        target.container_stack.clone().unwrap_or_default(),
        ParamId::new(),
    ))
}
