//! The parsers of weights files as functions of bytes. They return the messages of all errors.

use std::collections::BTreeMap;
use std::io::Cursor;

use burn_store::{SafetensorsStore, TensorSnapshot};

use super::formats::read_safetensors;
use super::pth::parse_pth;
use super::values;

/// The number of tensors whose values are read. Tensors may share a storage.
const READ: usize = 64;

/// Parses a safetensors file.
pub(crate) fn safetensors(bytes: &[u8]) -> Vec<String> {
    let store = SafetensorsStore::from_bytes(Some(bytes.to_vec()));
    read_safetensors(store).map_or_else(|error| vec![error], read_values)
}

/// Parses a `.pth` file.
pub(crate) fn pth(bytes: &[u8]) -> Vec<String> {
    let tensors = parse_pth(Box::new(Cursor::new(bytes.to_vec())));
    tensors.map_or_else(|error| vec![error.to_string()], read_values)
}

fn read_values(tensors: BTreeMap<String, TensorSnapshot>) -> Vec<String> {
    let tensors = tensors.values().take(READ);
    tensors.filter_map(|tensor| values(tensor).err()).collect()
}
