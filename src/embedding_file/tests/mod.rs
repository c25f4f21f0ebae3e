//! Files of embeddings and labels as other programs write them, and the messages of files that are refused.
//!
//! `assets/fixtures/numpy.py` wrote the files of NumPy.

mod arrays;
mod labels;
mod tables;
mod tensors;

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::{Embeddings, LabelsOption};

const FIXTURES: &str = "assets/fixtures/numpy";

/// The numbers of the fixtures in single precision.
const ROWS: [f32; 6] = [1.5, -2.0, 1365.0 / 4096.0, 65504.0, 0.0, 6e-8];

fn read_with(path: &Path, labels: Option<&Path>) -> Result<Embeddings, String> {
    let labels = LabelsOption {
        name: "--labels",
        file: labels,
    };
    Embeddings::read(path, labels).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Embeddings, String> {
    read_with(path, None)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

/// Writes a file and returns its path.
fn written(folder: &TempDir, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    path
}

type Tensor<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn safetensors(tensors: &[Tensor<'_>], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    safetensors::serialize(views, Some(metadata.collect())).unwrap()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn integers(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The `.npy` file of a type and shape.
pub(super) fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let dictionary = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (dictionary.len() as u16).to_le_bytes();
    [
        b"\x93NUMPY\x01\x00",
        &length[..],
        dictionary.as_bytes(),
        values,
    ]
    .concat()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
