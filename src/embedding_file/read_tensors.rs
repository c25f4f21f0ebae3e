//! Reading safetensors files.

use safetensors::tensor::{Metadata, SafeTensors};

use super::array_names::{EMBEDDINGS, FoundArray, LABELS, WantedArray};
use super::element::{ByteOrder, Element};
use super::metadata;
use super::raw_array::RawArray;
use crate::shorten::shorten;

/// The tensors and the metadata of a safetensors file.
pub(super) struct TensorFile<'a> {
    tensors: SafeTensors<'a>,
    metadata: Metadata,
}

impl<'a> TensorFile<'a> {
    /// Parses a whole file.
    ///
    /// # Errors
    /// If it is truncated or damaged.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let damaged = |error: safetensors::SafeTensorError| {
            let error = error.to_string();
            let error = shorten(&error);
            format!("it is truncated, or its header is damaged ({error}); copy or save it again")
        };
        Ok(Self {
            tensors: SafeTensors::deserialize(bytes).map_err(damaged)?,
            metadata: SafeTensors::read_metadata(bytes).map_err(damaged)?.1,
        })
    }

    /// Returns the tensor `embeddings`.
    ///
    /// # Errors
    /// If it does not exist, or has a type that is not read.
    pub(super) fn embeddings(&self) -> Result<RawArray<'a>, String> {
        self.array(EMBEDDINGS)?.ok_or_else(|| match metadata::is_exported_embedder(&self.metadata) {
            true => "it is an exported embedder; embed images with it: loop-dml embed FILE --images DIR \
                     --output embeddings.safetensors"
                .into(),
            false => EMBEDDINGS.missing("tensor", &self.found()),
        })
    }

    /// Returns the tensor `labels`, or the reason for which it does not exist.
    ///
    /// # Errors
    /// If it has a type that is not read.
    pub(super) fn labels(&self) -> Result<Result<RawArray<'a>, String>, String> {
        let labels = self.array(LABELS)?;
        Ok(labels.ok_or_else(|| {
            let mut others = self.found();
            others.retain(|array| array.name != EMBEDDINGS.name);
            LABELS.missing("tensor", &others)
        }))
    }

    /// Returns the names of the classes; `None` if the metadata does not have them.
    ///
    /// # Errors
    /// If they are not a list of names.
    pub(super) fn classes(&self) -> Result<Option<Vec<String>>, String> {
        metadata::class_names(&self.metadata)
    }

    /// Returns the names of the images; `None` if the metadata does not have a list of names.
    pub(super) fn paths(&self) -> Option<Vec<String>> {
        metadata::path_names(&self.metadata)
    }

    fn array(&self, wanted: WantedArray) -> Result<Option<RawArray<'a>>, String> {
        let name = wanted.name;
        let Ok(tensor) = self.tensors.tensor(name) else {
            return Ok(None);
        };
        let dtype = tensor.dtype();
        let Some(element) = Element::from_safetensors(dtype) else {
            return Err(format!(
                "its tensor `{name}` is {dtype:?}; save float32, or int64 for labels"
            ));
        };
        let shape = tensor.shape().to_vec();
        let name = format!("the tensor `{name}`");
        RawArray::new(
            &name,
            element,
            ByteOrder::Little,
            shape,
            false,
            tensor.data(),
        )
        .map(Some)
    }

    fn found(&self) -> Vec<FoundArray> {
        let tensors = self.tensors.iter().map(|(name, tensor)| FoundArray {
            name: name.into(),
            axes: tensor.shape().len(),
        });
        let mut found: Vec<FoundArray> = tensors.collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }
}
