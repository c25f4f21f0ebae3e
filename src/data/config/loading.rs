//! How images are loaded.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `[data]` that say how images are loaded. Except for `broken_images` they change the speed,
/// never the batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadingConfig {
    /// Worker threads that read and transform images; 0 means one for each core.
    #[schemars(range(max = 1024))]
    pub workers: usize,
    /// Batches loaded ahead of the network, at least 1.
    #[schemars(range(min = 1, max = 1024))]
    pub prefetch: usize,
    /// Whether images are decoded once, into a file that later epochs and runs read.
    pub cache: bool,
    /// Folder of the files of decoded images that `cache` writes. If absent: `loop-dml` in the user's cache folder.
    #[schemars(extend("format" = "path"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// How images that cannot be read are treated.
    pub broken_images: BrokenImages,
}

impl Default for LoadingConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            prefetch: 3,
            cache: false,
            cache_dir: None,
            broken_images: BrokenImages::default(),
        }
    }
}

/// How images that cannot be read, or that a list names and that do not exist, are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenImages {
    /// The first one ends the run with an error that names it.
    #[default]
    Fail,
    /// They are counted and named. In training, the next readable image of the class replaces them. In
    /// evaluation they are left out.
    Skip,
}
