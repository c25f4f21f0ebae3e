//! The names of images and classes in the metadata of a safetensors file.

use std::collections::HashMap;

use safetensors::tensor::Metadata;
use serde_json::json;

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
