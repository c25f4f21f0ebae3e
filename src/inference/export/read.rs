//! Reading an exported embedder.

use std::path::{Path, PathBuf};

use burn::module::ParamId;
use burn::tensor::{TensorData, backend::Backend};
use burn_store::{ModuleSnapshot, TensorSnapshot};
use safetensors::tensor::{Dtype, SafeTensors};

use super::error::ExportError;
use super::header::{ExportHeader, METADATA_KEY};
use super::tensors::exported_name;
use crate::bounded_read::{GIB, StartedFile};
use crate::config::Config;
use crate::model::weights::torch_layout::TorchLayout;
use crate::model::{ConvAlgorithm, Embedder, EmbedderConfig};
use crate::safetensors_start::is_safetensors;
use crate::shorten::shorten;

/// The most bytes of a file. The largest backbone has 100 MB.
const MAXIMUM_BYTES: u64 = 4 * GIB;

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
    /// If it cannot be read, is truncated, is not an exported embedder, or needs another version.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let unreadable = |reason: String| ExportError::Unreadable {
            path: path.into(),
            reason,
        };
        let file = StartedFile::open(path).map_err(|error| unreadable(error.to_string()))?;
        // Before the rest is read: it may be long, or never end.
        if !is_safetensors(file.start()) {
            return Err(unreadable(
                "it is not a safetensors file, or is truncated".into(),
            ));
        }
        let bytes = file.read_at_most(MAXIMUM_BYTES);
        Self::parse(path, bytes.map_err(|error| unreadable(error.to_string()))?)
    }

    /// Parses the contents of the file `path`.
    ///
    /// # Errors
    /// If it is truncated, is not an exported embedder, or needs another version.
    pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, ExportError> {
        let unreadable = |reason: String| ExportError::Unreadable {
            path: path.into(),
            reason: shorten(&reason).into_owned(),
        };
        let file = SafeTensors::deserialize(&bytes);
        file.map_err(|error| unreadable(error.to_string()))?;
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let text = metadata
            .metadata()
            .as_ref()
            .and_then(|own| own.get(METADATA_KEY));
        let header = ExportHeader::parse(text.map(String::as_str), path)?;
        let config = header.config(path)?;
        Ok(Self {
            path: path.into(),
            bytes,
            header,
            config,
        })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the description of the embedder in the file.
    pub fn header(&self) -> &ExportHeader {
        &self.header
    }

    /// Returns the network, the preprocessing and the evaluation as a configuration. Other keys have
    /// their defaults.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Creates the embedder on a device and loads its tensors from the file.
    ///
    /// # Errors
    /// If a tensor is missing or unknown, has another shape or type, or has an infinite value or NaN.
    pub fn embedder<B: Backend>(
        &self,
        algorithm: ConvAlgorithm,
        device: &B::Device,
    ) -> Result<Embedder<B>, ExportError> {
        let file = SafeTensors::deserialize(&self.bytes).expect("it was deserialized before");
        let config = EmbedderConfig::from(&self.config.model).with_algorithm(algorithm);
        let mut embedder = config.init::<B>(device);
        let wanted = embedder.collect(None, None, true);
        self.check_names(&file, &wanted)?;
        let snapshots = wanted
            .iter()
            .map(|target| self.load(&file, target))
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

    /// Checks that the file has the wanted tensors and no others.
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

    /// Returns the file's tensor for the parameter `target`, in Burn's order of axes.
    fn load(
        &self,
        file: &SafeTensors,
        target: &TensorSnapshot,
    ) -> Result<TensorSnapshot, ExportError> {
        let (name, own) = (exported_name(target), target.shape.to_vec());
        let layout = TorchLayout::for_tensor(target);
        let (expected, tensor) = (layout.shape(&own), file.tensor(&name));
        let tensor = tensor.expect("the names were checked");
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
        let values: Vec<f32> = values.collect();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ExportError::NotFinite {
                path: self.path.clone(),
                name,
            });
        }
        let values = layout.import(values, &own);
        Ok(TensorSnapshot::from_data(
            TensorData::new(values, own),
            target.path_stack.clone().unwrap_or_default(),
            target.container_stack.clone().unwrap_or_default(),
            ParamId::new(),
        ))
    }
}
