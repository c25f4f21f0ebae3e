//! Pretrained backbone weights: files written by `torch.save` (state dictionaries and checkpoints of a
//! training) and `.safetensors`, and downloads of published files.

mod candidates;
mod contents;
pub(crate) mod download;
mod error;
mod formats;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod locate;
pub(crate) mod names;
mod naming;
mod note;
mod other_file;
pub(in crate::model) mod pth;
mod safetensors;
mod selection;
pub(crate) mod torch_layout;
mod unsupported;
mod wrappers;

use std::path::Path;

use burn::module::ParamId;
use burn::tensor::{DType, TensorData, backend::Backend};
use burn_store::{ModuleSnapshot, TensorSnapshot, TensorSnapshotError};

pub use download::DownloadError;
pub(crate) use error::format_list;
pub use error::{ShapeMismatch, WeightsError};
pub use formats::read_state_dict;
pub use locate::locate;
pub use naming::NamingScheme;
pub use note::WeightsNote;
pub use other_file::OtherFile;
pub use unsupported::UnsupportedTensor;

use contents::Contents;
use error::unreadable;
use formats::read_contents;
use names::torch_name;
use selection::{check_supported, select};
use torch_layout::TorchLayout;

/// A module with weights from a file.
#[derive(Debug)]
pub struct Loaded<M> {
    /// The module.
    pub module: M,
    /// How the file was read, if its names are not the original network's, or if it has other tensors too.
    pub notes: Vec<WeightsNote>,
}

/// Returns the module with every parameter and running statistic taken from the file at `path`. Logs the
/// notes.
///
/// Names are the original network's: torchvision's for GoogLeNet (`conv1.conv.weight`,
/// `inception3a.branch4.1.bn.running_var`) and ResNet-50 (`layer1.0.downsample.0.weight`), those of
/// the package `efficientnet_lite_pytorch` for EfficientNet-Lite0
/// (`_blocks.0._depthwise_conv.weight`), and for Conv4 `blocks.0.conv.weight` to
/// `blocks.3.bn.running_var`; or those of another [`NamingScheme`]. They may have a prefix. Other tensors,
/// such as classifiers and the state of an optimizer, are ignored.
///
/// Kernels have PyTorch's order `[C_out, C_in, k, k]`, with any strides in a `.pth`. Floating-point numbers
/// of any type are converted to single precision.
///
/// # Errors
/// If the file does not exist or is not a weights file; if it lacks tensors of the module, has others in the
/// module's layers, has the module several times, or has other shapes; if a tensor has an infinite value or
/// NaN, or a negative variance.
pub fn load_weights<B, M>(mut module: M, path: &Path) -> Result<Loaded<M>, WeightsError>
where
    B: Backend,
    M: ModuleSnapshot<B>,
{
    let mut contents = read_contents(path)?;
    // Without the name of a backbone's variant in `BackboneNetwork`.
    let targets = module.collect(None, None, true);
    let wanted = targets.iter().map(|target| torch_name(&target.full_path()));
    let wanted: Vec<String> = wanted.collect();
    let selection = select(path, &mut contents, &wanted)?;
    let keys: Vec<String> = wanted
        .iter()
        .map(|name| selection.names[name].clone())
        .collect();
    check_supported(path, &contents, &keys)?;
    check_shapes(path, &contents, &keys, &targets)?;
    let mut snapshots = Vec::with_capacity(targets.len());
    for (target, key) in targets.iter().zip(keys) {
        let Some(source) = contents.get(&key).and_then(contents::Entry::tensor) else {
            continue;
        };
        let values = values(&source.snapshot).map_err(|reason| unreadable(path, reason))?;
        check_values(path, key, &values)?;
        snapshots.push(snapshot(values, target));
    }
    let result = module.apply(snapshots, None, None, true);
    if let Some(error) = result.errors.first() {
        return Err(unreadable(path, error));
    }
    let notes = selection.notes;
    notes.iter().for_each(|note| note.log(path));
    Ok(Loaded { module, notes })
}

/// Checks that the tensors `keys` of the file at `path` have the shapes of `targets`.
fn check_shapes(
    path: &Path,
    contents: &Contents,
    keys: &[String],
    targets: &[TensorSnapshot],
) -> Result<(), WeightsError> {
    let mismatch = |(key, target): (&String, &TensorSnapshot)| {
        let found = contents.get(key)?.tensor()?.snapshot.shape.to_vec();
        let expected = TorchLayout::for_tensor(target).shape(&target.shape.to_vec());
        (found != expected).then(|| ShapeMismatch {
            key: key.clone(),
            found,
            expected,
        })
    };
    let tensors: Vec<_> = keys.iter().zip(targets).filter_map(mismatch).collect();
    match tensors.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Shapes {
            path: path.into(),
            tensors,
        }),
    }
}

/// Checks the values of the tensor `key` of the file at `path`.
fn check_values(path: &Path, key: String, values: &[f32]) -> Result<(), WeightsError> {
    const VARIANCE: &str = "running_var";
    // The next ReLU would turn NaN into 0 and so hide it.
    if !values.iter().all(|value| value.is_finite()) {
        return Err(WeightsError::NotFinite {
            path: path.into(),
            tensor: key,
        });
    }
    if key.ends_with(VARIANCE) && values.iter().any(|&value| value < 0.0) {
        return Err(WeightsError::NegativeVariance {
            path: path.into(),
            tensor: key,
        });
    }
    Ok(())
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
