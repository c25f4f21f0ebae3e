//! Writing an embedder.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use super::description::describe;
use super::error::ExportError;
use super::header::{EpochMetrics, ExportHeader, METADATA_KEY};
use super::tensors::torch_tensors;
use crate::atomic_file::{AtomicFileError, AtomicFiles, check_free};
use crate::config::Config;
use crate::model::Embedder;

/// The extension of an exported embedder.
const EXTENSION: &str = "safetensors";

/// The output files of an export: `NAME.safetensors`, and `NAME.json` beside it.
#[derive(Debug, Clone)]
pub struct ExportOutput {
    tensors: PathBuf,
    description: PathBuf,
}

impl ExportOutput {
    /// Creates an output to `path`. Neither file may exist.
    ///
    /// # Errors
    /// If the name does not end in `.safetensors`, if a file exists, or if the folder does not.
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

    /// Returns the file of the tensors.
    pub fn tensors(&self) -> &Path {
        &self.tensors
    }

    /// Returns the file for people and other programs.
    pub fn description(&self) -> &Path {
        &self.description
    }

    /// Writes the embedder of a run with its configuration and, if it was evaluated, its metrics.
    ///
    /// # Errors
    /// If a file was created meanwhile, or cannot be written. Then neither file is left.
    pub fn write<B: Backend>(
        &self,
        embedder: &Embedder<B>,
        config: &Config,
        measured: Option<EpochMetrics>,
    ) -> Result<(), AtomicFileError> {
        let header = ExportHeader::new(config, measured);
        let tensors = torch_tensors(embedder);
        let description = describe(&header, embedder, &tensors);
        let mut files = AtomicFiles::default();
        files.write(&self.description, |file| {
            serde_json::to_writer_pretty(&mut *file, &description)?;
            writeln!(file)
        })?;
        let text = serde_json::to_string(&header).expect("a header is plain data");
        let metadata = HashMap::from([(METADATA_KEY.to_string(), text)]);
        let views = tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes);
            (
                name,
                view.expect("the shape and the number of values match"),
            )
        });
        // The tensors are last: if they exist, the description does too.
        files.write(&self.tensors, |file| {
            serialize_to_file(views, Some(metadata), file.path()).map_err(io::Error::other)
        })?;
        files.persist()
    }
}
