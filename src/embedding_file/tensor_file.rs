//! Writing safetensors files.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use safetensors::tensor::serialize_to_file;

use super::array::Array;
use crate::atomic_file::{AtomicFileError, write_new};

/// Writes `tensors` by their names, and the metadata, to a new file.
pub(super) fn write_tensors<const N: usize>(
    path: &Path,
    tensors: [(&str, Array); N],
    metadata: Option<HashMap<String, String>>,
) -> Result<(), AtomicFileError> {
    write_new(path, |file| {
        serialize_to_file(tensors, metadata, file.path()).map_err(io::Error::other)
    })
}
