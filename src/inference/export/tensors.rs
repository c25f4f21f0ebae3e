//! The tensors of an embedder in PyTorch's names and order of axes.

use std::collections::BTreeMap;

use burn::tensor::{DType, backend::Backend};
use burn_store::{ModuleSnapshot, TensorSnapshot};

use crate::model::Embedder;
use crate::model::weights::names::torch_name;
use crate::model::weights::torch_layout::TorchLayout;

/// The prefix of the backbone's tensors.
const BACKBONE: &str = "backbone.";

/// A tensor in PyTorch's order of axes.
pub(super) struct TorchTensor {
    pub(super) shape: Vec<usize>,
    /// The values in little-endian single precision.
    pub(super) bytes: Vec<u8>,
}

/// Returns every tensor of the embedder by its name in the file.
pub(super) fn torch_tensors<B: Backend>(embedder: &Embedder<B>) -> BTreeMap<String, TorchTensor> {
    let tensors = embedder.collect(None, None, true).into_iter();
    tensors
        .map(|tensor| {
            let (layout, own) = (TorchLayout::for_tensor(&tensor), tensor.shape.to_vec());
            let data = tensor.to_data().expect("the device returns its tensors");
            let values = data.convert_dtype(DType::F32).into_vec::<f32>();
            let values = layout.export(values.expect("just converted"), &own);
            let exported = TorchTensor {
                shape: layout.shape(&own),
                bytes: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            (exported_name(&tensor), exported)
        })
        .collect()
}

/// Returns the name of a tensor in the file: PyTorch's, below `backbone.` for the backbone.
pub(super) fn exported_name(tensor: &TensorSnapshot) -> String {
    let path = tensor.full_path();
    match path.strip_prefix(BACKBONE) {
        Some(inner) => format!("{BACKBONE}{}", torch_name(inner)),
        None => path,
    }
}
