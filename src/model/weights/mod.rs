//! Pretrained backbone weights: files of PyTorch state dictionaries (`.pth`, `.pt`) and `.safetensors`,
//! and downloads of published files.

pub(crate) mod download;
mod error;
mod formats;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod locate;
pub(crate) mod names;
mod pth;
pub(crate) mod torch_layout;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::ParamId;
use burn::tensor::{DType, TensorData, backend::Backend};
use burn_store::{ModuleSnapshot, TensorSnapshot, TensorSnapshotError};

pub use download::DownloadError;
pub(crate) use error::format_list;
pub use error::{ShapeMismatch, WeightsError};
pub use formats::read_state_dict;
pub use locate::locate;

use error::unreadable;
use names::{is_unused, torch_name};
use torch_layout::TorchLayout;

/// Returns the module with every parameter and running statistic taken from the file at `path`.
///
/// Names are the original network's: torchvision's for GoogLeNet (`conv1.conv.weight`,
/// `inception3a.branch4.1.bn.running_var`) and ResNet-50 (`layer1.0.downsample.0.weight`), those of
/// the package `efficientnet_lite_pytorch` for EfficientNet-Lite0
/// (`_blocks.0._depthwise_conv.weight`), and for Conv4 `blocks.0.conv.weight` to
/// `blocks.3.bn.running_var`. Kernels have PyTorch's order `[C_out, C_in, k, k]`, with any strides in a
/// `.pth`. Numbers of any type are converted to single precision. `fc.*`, `_fc.*`, `aux1.*`, `aux2.*`
/// and `*.num_batches_tracked` are ignored.
///
/// # Errors
/// If the file does not exist, is not a weights file, does not have exactly the module's tensors, or has an
/// infinite value or NaN in one of them.
pub fn load_weights<B, M>(mut module: M, path: &Path) -> Result<M, WeightsError>
where
    B: Backend,
    M: ModuleSnapshot<B>,
{
    let mut found = read_state_dict(path)?;
    // Without the name of a backbone's variant in `BackboneNetwork`.
    let wanted = module.collect(None, None, true);
    check_names(path, &found, &wanted)?;
    check_shapes(path, &found, &wanted)?;
    let mut snapshots = Vec::with_capacity(wanted.len());
    for target in wanted {
        let key = torch_name(&target.full_path());
        if let Some(source) = found.remove(&key) {
            let values = values(&source).map_err(|reason| unreadable(path, reason))?;
            // The next ReLU would turn NaN into 0 and so hide it.
            if !values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite {
                    path: path.into(),
                    tensor: key,
                });
            }
            snapshots.push(snapshot(values, &target));
        }
    }
    let result = module.apply(snapshots, None, None, true);
    match result.errors.first() {
        None => Ok(module),
        Some(error) => Err(unreadable(path, error)),
    }
}

/// Checks that the file at `path` has the `wanted` tensors and no others, by their names.
fn check_names(
    path: &Path,
    found: &BTreeMap<String, TensorSnapshot>,
    wanted: &[TensorSnapshot],
) -> Result<(), WeightsError> {
    let wanted = wanted.iter().map(|target| torch_name(&target.full_path()));
    let wanted: BTreeSet<String> = wanted.collect();
    let missing = wanted.iter().filter(|key| !found.contains_key(*key));
    let missing: Vec<String> = missing.cloned().collect();
    let unknown = found.keys();
    let unknown = unknown.filter(|key| !wanted.contains(*key) && !is_unused(key));
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

/// Checks that the tensors of the file at `path` have the shapes of those `wanted`.
fn check_shapes(
    path: &Path,
    found: &BTreeMap<String, TensorSnapshot>,
    wanted: &[TensorSnapshot],
) -> Result<(), WeightsError> {
    let mismatch = |target: &TensorSnapshot| {
        let key = torch_name(&target.full_path());
        let found = found.get(&key)?.shape.to_vec();
        let expected = TorchLayout::for_tensor(target).shape(&target.shape.to_vec());
        (found != expected).then_some(ShapeMismatch {
            key,
            found,
            expected,
        })
    };
    let tensors: Vec<_> = wanted.iter().filter_map(mismatch).collect();
    match tensors.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Shapes {
            path: path.into(),
            tensors,
        }),
    }
}

/// The values of a tensor of a file in single precision. The error is the reason why it cannot be read.
fn values(source: &TensorSnapshot) -> Result<Vec<f32>, String> {
    let data = source.to_data().map_err(|error| match error {
        TensorSnapshotError::IoError(reason)
        | TensorSnapshotError::DataError(reason)
        | TensorSnapshotError::PanicError(reason) => reason,
    })?;
    let values = data.convert_dtype(DType::F32).into_vec::<f32>();
    values.map_err(|error| format!("{error:?}"))
}

/// The parameter `target` with `values` in PyTorch's order.
fn snapshot(values: Vec<f32>, target: &TensorSnapshot) -> TensorSnapshot {
    let own = target.shape.to_vec();
    let values = TorchLayout::for_tensor(target).import(values, &own);
    TensorSnapshot::from_data(
        TensorData::new(values, own),
        target.path_stack.clone().unwrap_or_default(),
        target.container_stack.clone().unwrap_or_default(),
        ParamId::new(),
    )
}
