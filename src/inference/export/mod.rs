//! A trained embedder as one safetensors file, which is enough by itself to embed images exactly as
//! the evaluation in training did.
//!
//! Every tensor stands under PyTorch's name and in PyTorch's order of axes: `backbone.` and what the
//! original calls it (`backbone.conv1.conv.weight`, `[C_out, C_in, k, k]`), then the head
//! (`head.weight`, `[D, features]`). The metadata says, as JSON under `loop-dml`, what the network is
//! and how images are brought to it ([`ExportHeader`]). Beside `NAME.safetensors` lies `NAME.json`,
//! which tells the same to people and other programs.

mod description;
mod error;
mod header;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::module::ParamId;
use burn::tensor::{DType, TensorData, backend::Backend};
use burn_store::{ModuleSnapshot, TensorSnapshot};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};

pub use error::ExportError;
pub use header::{ExportHeader, Measured, Preprocessing};
pub use run::export;

use crate::atomic_file::{AtomicFileError, AtomicFiles, check_free};
use crate::config::Config;
use crate::model::weights::names::torch_name;
use crate::model::weights::torch_layout::TorchLayout;
use crate::model::{ConvAlgorithm, Embedder, EmbedderConfig};

/// The key of the metadata under which the header stands.
const HEADER: &str = "loop-dml";

/// How the file's name ends.
const EXTENSION: &str = "safetensors";

/// Where the backbone stands among the tensors.
const BACKBONE: &str = "backbone.";

/// Where an embedder is exported to: `NAME.safetensors`, and `NAME.json` beside it.
#[derive(Debug, Clone)]
pub struct ExportOutput {
    tensors: PathBuf,
    description: PathBuf,
}

impl ExportOutput {
    /// Output to `path`, both files of which have to be free.
    ///
    /// # Errors
    /// When the name does not end in `.safetensors`, a file is there, or its folder is not.
    pub fn new(path: &Path) -> Result<Self, ExportError> {
        if path.extension().is_none_or(|end| end != EXTENSION) {
            return Err(ExportError::Name { path: path.into() });
        }
        let output = Self {
            tensors: path.into(),
            description: path.with_extension("json"),
        };
        check_free(&output.tensors)?;
        check_free(&output.description)?;
        Ok(output)
    }

    /// The file of the tensors.
    pub fn tensors(&self) -> &Path {
        &self.tensors
    }

    /// The file for people and other programs.
    pub fn description(&self) -> &Path {
        &self.description
    }

    /// Writes the embedder of a run's configuration, and what it was measured at, if it was.
    ///
    /// # Errors
    /// When a file has come to exist meanwhile, or cannot be written; then neither file is left.
    pub fn write<B: Backend>(
        &self,
        embedder: &Embedder<B>,
        config: &Config,
        measured: Option<Measured>,
    ) -> Result<(), AtomicFileError> {
        let header = ExportHeader::new(config, measured);
        let tensors = torch_tensors(embedder);
        let description = description::describe(&header, embedder, &tensors);
        let mut files = AtomicFiles::default();
        files.write(&self.description, |file| {
            serde_json::to_writer_pretty(&mut *file, &description)?;
            writeln!(file)
        })?;
        let text = serde_json::to_string(&header).expect("a header is plain data");
        let metadata = HashMap::from([(HEADER.to_string(), text)]);
        let views = tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("as many values as the shape says"))
        });
        // The tensors last: where they are, the description is too.
        files.write(&self.tensors, |file| {
            serialize_to_file(views, Some(metadata), file.path()).map_err(io::Error::other)
        })?;
        files.persist()
    }
}

/// A tensor as PyTorch lays it out.
struct TorchTensor {
    shape: Vec<usize>,
    /// Single precision, little-endian.
    bytes: Vec<u8>,
}

/// Every tensor of the embedder by PyTorch's name.
fn torch_tensors<B: Backend>(embedder: &Embedder<B>) -> BTreeMap<String, TorchTensor> {
    let tensors = embedder.collect(None, None, true).into_iter();
    tensors
        .map(|tensor| {
            let (layout, own) = (TorchLayout::of(&tensor), tensor.shape.to_vec());
            let data = tensor.to_data().expect("the device gives back its tensors");
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

/// The name in the file: PyTorch's, below `backbone.` for tensors of the backbone.
fn exported_name(tensor: &TensorSnapshot) -> String {
    let path = tensor.full_path();
    match path.strip_prefix(BACKBONE) {
        Some(inner) => format!("{BACKBONE}{}", torch_name(inner)),
        None => path,
    }
}

/// An exported embedder, read from its file.
#[derive(Debug)]
pub struct ExportedEmbedder {
    path: PathBuf,
    bytes: Vec<u8>,
    header: ExportHeader,
    config: Config,
}

impl ExportedEmbedder {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, is cut off, is no exported embedder, or one that this version cannot
    /// know.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let unreadable = |reason: String| ExportError::Unreadable {
            path: path.into(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes);
        file.map_err(|error| unreadable(error.to_string()))?;
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|own| own.get(HEADER));
        let header = ExportHeader::parse(text.map(String::as_str), path)?;
        let config = header.config(path)?;
        Ok(Self {
            path: path.into(),
            bytes,
            header,
            config,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says of the embedder.
    pub fn header(&self) -> &ExportHeader {
        &self.header
    }

    /// The network, the preparation of images and the way of embedding as a configuration, all else
    /// by default.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The embedder with the tensors of the file.
    ///
    /// # Errors
    /// When a tensor is missing, unknown, or of another shape or type.
    pub fn embedder<B: Backend>(
        &self,
        path: ConvAlgorithm,
        device: &B::Device,
    ) -> Result<Embedder<B>, ExportError> {
        let file = SafeTensors::deserialize(&self.bytes).expect("it was read before");
        let config = EmbedderConfig::from(&self.config.model).with_algorithm(path);
        let mut embedder = config.init::<B>(device);
        let wanted = embedder.collect(None, None, true);
        self.check_names(&file, &wanted)?;
        let snapshots = wanted
            .iter()
            .map(|target| self.fitted(&file, target))
            .collect::<Result<Vec<_>, _>>()?;
        let result = embedder.apply(snapshots, None, None, true);
        match result.errors.first() {
            None => Ok(embedder),
            Some(error) => Err(ExportError::Unreadable {
                path: self.path.clone(),
                reason: error.to_string(),
            }),
        }
    }

    fn check_names(
        &self,
        file: &SafeTensors,
        wanted: &[TensorSnapshot],
    ) -> Result<(), ExportError> {
        let wanted: Vec<String> = wanted.iter().map(exported_name).collect();
        let found = file.names();
        let mut missing = wanted.clone();
        missing.retain(|name| !found.contains(&name.as_str()));
        if !missing.is_empty() {
            return Err(ExportError::Missing {
                path: self.path.clone(),
                names: missing,
            });
        }
        let unknown = found.iter().map(ToString::to_string);
        let mut unknown: Vec<String> = unknown.filter(|name| !wanted.contains(name)).collect();
        unknown.sort();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(ExportError::Unknown {
                path: self.path.clone(),
                names: unknown,
            }),
        }
    }

    /// The tensor of the file for the parameter `target`.
    fn fitted(
        &self,
        file: &SafeTensors,
        target: &TensorSnapshot,
    ) -> Result<TensorSnapshot, ExportError> {
        let (name, own) = (exported_name(target), target.shape.to_vec());
        let layout = TorchLayout::of(target);
        let (expected, tensor) = (layout.shape(&own), file.tensor(&name));
        let tensor = tensor.expect("names were compared");
        if tensor.dtype() != Dtype::F32 || tensor.shape() != expected {
            return Err(ExportError::Tensor {
                path: self.path.clone(),
                name,
                found: format!("{:?} {:?}", tensor.dtype(), tensor.shape()),
                expected,
            });
        }
        let (numbers, _) = tensor.data().as_chunks();
        let values = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let values = layout.import(values.collect(), &own);
        Ok(TensorSnapshot::from_data(
            TensorData::new(values, own),
            target.path_stack.clone().unwrap_or_default(),
            target.container_stack.clone().unwrap_or_default(),
            ParamId::new(),
        ))
    }
}
