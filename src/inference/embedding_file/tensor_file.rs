//! Writing safetensors files.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use safetensors::tensor::serialize_to_file;

use super::array::Array;
use crate::atomic_file::{AtomicFileError, write_new};

/// Writes a matrix as the only tensor of a safetensors file.
///
/// # Shapes
/// - rows: \[N, dim\], row by row
///
/// # Errors
/// If the file exists or cannot be written.
pub fn write_matrix(
    path: &Path,
    name: &str,
    rows: &[f32],
    dim: usize,
) -> Result<(), AtomicFileError> {
    let matrix = Array::floats(rows, vec![rows.len() / dim, dim]);
    write_tensors(path, [(name, matrix)], None)
}

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
