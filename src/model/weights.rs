//! Pretrained backbone weights from PyTorch state dictionaries (`.pth`, `.pt`) and `.safetensors`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
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
    /// Weights of the backbone are not in the file, or the file has some that the backbone does not
    /// know, or both.
    #[error("{0} {1}", path.display(), misnamed(missing, unknown))]
    Names {
        /// The path as configured.
        path: PathBuf,
        /// Names that should stand in the file and do not, in alphabetical order.
        missing: Vec<String>,
        /// Names that should not and do, in alphabetical order.
        unknown: Vec<String>,
    },
    /// Tensors have other shapes than the backbone's.
    #[error("{0} has {1} tensors of another shape than the backbone's: {2}; is it a file for another backbone?", path.display(), tensors.len(), listed(tensors))]
    Shapes {
        /// The path as configured.
        path: PathBuf,
        /// All of them, in the backbone's order.
        tensors: Vec<Misshapen>,
    },
    /// Published weights are not at hand.
    #[error(transparent)]
    Published(#[from] PublishedWeightsError),
}

/// A tensor of a weights file whose shape is not the backbone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The name in the file.
    pub key: String,
    /// The shape in the file.
    pub found: Vec<usize>,
    /// The shape needed, in PyTorch's order.
    pub expected: Vec<usize>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            found,
            expected,
        } = self;
        write!(f, "{key} {found:?} instead of {expected:?}")
    }
}

/// What is wrong with the names in a file; of the two lists one at least is not empty.
fn misnamed(missing: &[String], unknown: &[String]) -> String {
    let lacks = || {
        format!(
            "lacks {} of the backbone's tensors: {}",
            missing.len(),
            listed(missing)
        )
    };
    let has = |tensors: &str| {
        let (count, names) = (unknown.len(), listed(unknown));
        format!("has {count} {tensors}that the backbone does not know: {names}")
    };
    match (missing, unknown) {
        (_, []) => lacks() + "; is it a file for another backbone?",
        ([], _) => has("tensors ") + "; is it a file for another backbone?",
        _ => format!(
            "{}, and {}; is it a file for another backbone, or do its names have a prefix, as \
             `module.`, to be taken off?",
            lacks(),
            has("")
        ),
    }
}

/// The first of a list, and how many follow.
pub(crate) fn listed(items: &[impl fmt::Display]) -> String {
    const SHOWN: usize = 4;
    let shown = items.iter().take(SHOWN).map(ToString::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
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

    check_names(path, &found, &wanted)?;
    check_shapes(path, &found, &wanted)?;
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

/// Makes sure that the tensors `found` in the file at `path` are those `wanted`, by their names.
fn check_names(
    path: &Path,
    found: &BTreeMap<String, TensorSnapshot>,
    wanted: &[TensorSnapshot],
) -> Result<(), WeightsError> {
    let spelled = wanted.iter().map(|target| torch_name(&target.full_path()));
    let spelled: BTreeSet<String> = spelled.collect();
    let missing = spelled.iter().filter(|key| !found.contains_key(*key));
    let missing: Vec<String> = missing.cloned().collect();
    let unknown = found.keys();
    let unknown = unknown.filter(|key| !spelled.contains(*key) && !may_stay_unused(key));
    let unknown: Vec<String> = unknown.cloned().collect();
    match missing.is_empty() && unknown.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Names {
            path: path.into(),
            missing,
            unknown,
        }),
    }
}

/// Makes sure that the tensors `found` in the file at `path` have the shapes of those `wanted`.
fn check_shapes(
    path: &Path,
    found: &BTreeMap<String, TensorSnapshot>,
    wanted: &[TensorSnapshot],
) -> Result<(), WeightsError> {
    let misshapen = |target: &TensorSnapshot| {
        let key = torch_name(&target.full_path());
        let found = found.get(&key)?.shape.to_vec();
        let expected = TorchLayout::of(target).shape(&target.shape.to_vec());
        (found != expected).then_some(Misshapen {
            key,
            found,
            expected,
        })
    };
    let tensors: Vec<_> = wanted.iter().filter_map(misshapen).collect();
    match tensors.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Shapes {
            path: path.into(),
            tensors,
        }),
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
    // First, for it refuses pickles on which the store would exhaust memory or the stack.
    let layouts = pickled_layouts(path).map_err(|error| unreadable(path, error))?;
    let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
    let tensors = store.get_all_snapshots();
    let tensors = tensors.map_err(|error| unreadable(path, error))?.clone();
    refuse_cut_off(path, &tensors)?;
    Ok(File {
        tensors,
        layouts: Some(layouts),
    })
}

/// Refuses a `.pth` that is shorter than its tensors: the store would read what is missing as it comes.
fn refuse_cut_off(
    path: &Path,
    tensors: &BTreeMap<String, TensorSnapshot>,
) -> Result<(), WeightsError> {
    let bytes = |tensor: &TensorSnapshot| tensor.shape.num_elements() * tensor.dtype.size();
    let needed: usize = tensors.values().map(bytes).sum();
    let there = path
        .metadata()
        .map_err(|error| unreadable(path, error))?
        .len();
    match needed as u64 <= there {
        true => Ok(()),
        false => Err(unreadable(
            path,
            format!("it is cut off: its tensors take {needed} bytes, and it has {there}"),
        )),
    }
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Unreadable {
        path: path.into(),
        reason: reason.to_string(),
    }
}

/// PyTorch's name for a parameter of this crate's modules.
pub(crate) fn torch_name(path: &str) -> String {
    let names = TORCH_NAMES.into_iter().flatten();
    names.fold(path.to_string(), |name, (own, torch)| {
        name.replace(own, torch)
    })
}

fn may_stay_unused(key: &str) -> bool {
    key.ends_with(UNUSED_SUFFIX) || UNUSED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The tensor `source` of the file, in the order and type of the parameter `target`, whose shape it
/// has. The order in which a `.pth` has `stored` it is `Some(None)` where it should be there and is not.
fn fitted(
    path: &Path,
    key: &str,
    source: &TensorSnapshot,
    stored: Option<Option<&Layout>>,
    target: &TensorSnapshot,
) -> Result<TensorSnapshot, WeightsError> {
    let needed = target.shape.to_vec();
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
    let values = TorchLayout::of(target).import(values, &needed);
    Ok(TensorSnapshot::from_data(
        TensorData::new(values, needed),
        target.path_stack.clone().unwrap_or_default(),
        target.container_stack.clone().unwrap_or_default(),
        ParamId::new(),
    ))
}
