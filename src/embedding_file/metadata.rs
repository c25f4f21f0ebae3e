//! The names of images and classes in the metadata of a safetensors file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::Metadata;
use serde_json::json;

use crate::safetensors_start::MAXIMUM_HEADER;

/// The key of the classes' names.
pub(super) const CLASSES: &str = "classes";

/// The key of the images' names.
pub(super) const PATHS: &str = "paths";

/// The key of an exported embedder.
const EMBEDDER: &str = "loop-dml";

/// Returns the metadata with the names of images and classes.
pub(super) fn from_names(paths: &[String], classes: &[String]) -> HashMap<String, String> {
    let list = |names: &[String]| json!(names).to_string();
    HashMap::from([
        (PATHS.to_string(), list(paths)),
        (CLASSES.to_string(), list(classes)),
    ])
}

fn value<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a str> {
    metadata.metadata().as_ref()?.get(key).map(String::as_str)
}

/// Returns the names of the classes; `None` if the metadata does not have them.
///
/// # Errors
/// If they are not a list of names, with the reason.
pub(super) fn class_names(metadata: &Metadata) -> Result<Option<Vec<String>>, String> {
    let names = value(metadata, CLASSES)
        .map(serde_json::from_str)
        .transpose();
    names.map_err(|error| {
        format!("`{CLASSES}` in its metadata is not a JSON list of names ({error}); remove or correct it")
    })
}

/// Returns the names of the images; `None` if the metadata does not have a list of names.
pub(super) fn path_names(metadata: &Metadata) -> Option<Vec<String>> {
    serde_json::from_str(value(metadata, PATHS)?).ok()
}

/// Whether the metadata is that of an exported embedder.
pub(super) fn is_exported_embedder(metadata: &Metadata) -> bool {
    value(metadata, EMBEDDER).is_some()
}

/// Whether the safetensors file `path` is an exported embedder. Only its header is read.
pub(super) fn is_exported_embedder_file(path: &Path) -> bool {
    let header = || -> std::io::Result<Metadata> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut header = Vec::new();
        let length = u64::from_le_bytes(length).min(MAXIMUM_HEADER);
        file.take(length).read_to_end(&mut header)?;
        Ok(serde_json::from_slice(&header)?)
    };
    header().is_ok_and(|metadata| is_exported_embedder(&metadata))
}
