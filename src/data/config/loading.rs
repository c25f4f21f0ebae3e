//! How images are loaded.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Keys of `[data]` that say how images are loaded; save `broken_images` they change speed, never the
/// batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadingConfig {
    /// Worker threads that read and transform images; 0 means one for each core.
    pub workers: usize,
    /// Batches kept ready ahead of the network, at least 1.
    pub prefetch: usize,
    /// Whether images are decoded once, to a file that later epochs and runs read from.
    pub cache: bool,
    /// The folder of such files. Absent: `loop-dml` in the user's cache folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// What becomes of images that cannot be read.
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

/// What becomes of images that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrokenImages {
    /// The first ends the run, with its name.
    #[default]
    Fail,
    /// They are counted and named. In training the next image of the class that can be read stands
    /// in; in a measure they are left out.
    Skip,
}
