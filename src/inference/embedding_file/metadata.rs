//! The names of images and classes in the metadata of a safetensors file.

use std::collections::HashMap;

use safetensors::tensor::SafeTensors;
use serde_json::json;

/// The key of the classes' names.
pub(super) const CLASSES: &str = "classes";

/// The key of the images' names.
pub(super) const PATHS: &str = "paths";

/// Returns the metadata with the names of images and classes.
pub(super) fn from_names(paths: &[String], classes: &[String]) -> HashMap<String, String> {
    let list = |names: &[String]| json!(names).to_string();
    HashMap::from([
        (PATHS.to_string(), list(paths)),
        (CLASSES.to_string(), list(classes)),
    ])
}

/// Returns the names of the classes in the metadata of a file; `None` if it has none.
///
/// # Errors
///
/// If the metadata cannot be read, with the reason.
pub(super) fn class_names(bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = header.metadata().as_ref().and_then(|own| own.get(CLASSES));
    text.map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|error| {
            format!("`{CLASSES}` in its metadata is not a JSON list of names ({error})")
        })
}
