//! Checkpoints with a small block, for tests.

use burn_store::ModuleSnapshot;

use super::weights_files::{assert_formula_state, block};
use super::{B, Design, state, torch_shapes};
use crate::model::layers::ConvolutionBlock;
use crate::model::weights::pth::writer::{Python, TorchFile};
use crate::model::weights::{Loaded, WeightsError, load_weights};

/// The storages of a checkpoint that is being written.
pub(super) struct Checkpoint {
    pub(super) storages: Vec<Vec<f32>>,
}

impl Checkpoint {
    pub(super) fn new() -> Self {
        Self {
            storages: Vec::new(),
        }
    }

    /// A tensor of ones in a separate storage.
    pub(super) fn ones(&mut self, shape: &[usize]) -> Python {
        self.tensor(vec![1.0; shape.iter().product()], shape)
    }

    pub(super) fn tensor(&mut self, numbers: Vec<f32>, shape: &[usize]) -> Python {
        self.storages.push(numbers);
        let strides = |axis: usize| shape[axis + 1..].iter().product();
        Python::Tensor {
            storage: self.storages.len() - 1,
            class: "FloatStorage",
            shape: shape.to_vec(),
            strides: (0..shape.len()).map(strides).collect(),
        }
    }

    /// The tensors of the block by their names without a prefix.
    pub(super) fn block(&mut self) -> Vec<(String, Python)> {
        let shapes = torch_shapes(block().collect(None, None, false)).into_iter();
        let mut tensors: Vec<(String, Python)> = shapes
            .map(|(name, shape)| {
                let tensor = self.tensor(state(&name, &shape, Design::Usual), &shape);
                (name, tensor)
            })
            .collect();
        tensors.push(("bn.num_batches_tracked".into(), Python::Integer(3)));
        tensors
    }

    /// The tensors of a block with other values.
    pub(super) fn block_of_ones(&mut self) -> Vec<(String, Python)> {
        let shapes = torch_shapes(block().collect(None, None, false)).into_iter();
        shapes
            .map(|(name, shape)| {
                let tensor = self.ones(&shape);
                (name, tensor)
            })
            .collect()
    }

    pub(super) fn file(self, value: Python) -> TorchFile {
        TorchFile {
            value,
            storages: self.storages,
        }
    }
}

pub(super) fn prefixed(prefix: &str, tensors: &[(String, Python)]) -> Vec<(String, Python)> {
    let tensors = tensors.iter().cloned();
    tensors
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
        .collect()
}

pub(super) fn load(file: &TorchFile) -> Result<Loaded<ConvolutionBlock<B>>, WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pth.tar");
    file.write(&path);
    load_weights(block(), &path)
}

/// The notes about a file in both formats of PyTorch, after a check of the values.
pub(super) fn notes(file: &TorchFile) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let [archive, legacy] = ["archive.ckpt", "legacy.bin"].map(|name| folder.path().join(name));
    file.write(&archive);
    file.write_legacy(&legacy);
    let [archive, legacy] = [archive, legacy].map(|path| {
        let loaded = load_weights(block(), &path).unwrap();
        assert_formula_state(&loaded.module, &path.display().to_string());
        let notes = loaded.notes.iter().map(ToString::to_string);
        notes.collect::<Vec<_>>()
    });
    assert_eq!(archive, legacy);
    archive
}

/// The message about a file that is refused.
pub(super) fn refusal(file: &TorchFile) -> String {
    load(file).unwrap_err().to_string()
}

/// Names as `torch.compile` of an inner module makes them.
pub(super) fn compiled(tensors: Vec<(String, Python)>) -> Python {
    let tensors = tensors.into_iter();
    let renamed =
        |(name, tensor): (String, Python)| (name.replace("conv.", "conv._orig_mod."), tensor);
    Python::dictionary(tensors.map(renamed))
}

/// A checkpoint with the block under each prefix, all but the first with other values.
pub(super) fn several(prefixes: &[&str]) -> TorchFile {
    let mut checkpoint = Checkpoint::new();
    let block = checkpoint.block();
    let mut tensors = prefixed(prefixes[0], &block);
    for prefix in &prefixes[1..] {
        tensors.extend(prefixed(prefix, &checkpoint.block_of_ones()));
    }
    checkpoint.file(Python::dictionary(tensors))
}
