//! `[data]`: the dataset with its keys, the transforms and the loading; `[batch]`.

mod batch;
mod check;
mod dataset;
mod loading;
mod transform;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use batch::*;
pub use dataset::*;
pub use loading::*;
pub use transform::*;

/// `[data]`: which images, and how they are prepared.
///
/// Keys that belong to one dataset only (`root`, `classes`, …) are errors with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct DataConfig {
    /// The dataset and its keys.
    #[serde(flatten)]
    pub source: DatasetConfig,
    /// How an image becomes the network's input.
    #[serde(flatten)]
    pub transform: TransformConfig,
    /// How images are loaded.
    #[serde(flatten)]
    pub loading: LoadingConfig,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            source: DatasetConfig::Synthetic(SyntheticConfig::default()),
            transform: TransformConfig::default(),
            loading: LoadingConfig::default(),
        }
    }
}

/// A part of `[data]`. Its keys are in the same table as those of other parts.
trait Part: Default + Serialize + for<'de> Deserialize<'de> {
    /// Returns a value with every key, including those that are absent by default.
    fn with_every_key() -> Self;
}

impl Part for TransformConfig {
    fn with_every_key() -> Self {
        Self {
            crop_scale: Some([0.0, 1.0]),
            ..Self::default()
        }
    }
}

impl Part for LoadingConfig {
    fn with_every_key() -> Self {
        Self {
            cache_dir: Some(PathBuf::new()),
            ..Self::default()
        }
    }
}

impl DataConfig {
    /// Returns one configuration per dataset, with every key of `[data]` that is valid with it.
    pub(crate) fn with_every_key() -> Vec<Self> {
        DatasetConfig::all()
            .into_iter()
            .map(|mut source| {
                match &mut source {
                    DatasetConfig::Folder(keys) => keys.split_seed = Some(1),
                    DatasetConfig::Manifest(keys) => {
                        keys.split_seed = Some(1);
                        keys.images = Some(PathBuf::new());
                    }
                    _ => {}
                }
                Self {
                    source,
                    transform: TransformConfig::with_every_key(),
                    loading: LoadingConfig::with_every_key(),
                }
            })
            .collect()
    }
}

/// Removes the keys of `T` from `table`.
fn take<T: Part>(table: &mut toml::Table) -> Result<T, String> {
    let known = toml::Table::try_from(T::with_every_key()).map_err(|error| error.to_string())?;
    let own: toml::Table = known
        .keys()
        .filter_map(|key| table.remove_entry(key))
        .collect();
    own.try_into()
        .map_err(|error: toml::de::Error| error.message().to_string())
}

impl TryFrom<toml::Table> for DataConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let transform = take(&mut table)?;
        let loading = take(&mut table)?;
        if !table.contains_key("dataset") {
            table.insert("dataset".into(), "synthetic".into());
        }
        Ok(Self {
            source: table
                .try_into()
                .map_err(|error: toml::de::Error| error.message().to_string())?,
            transform,
            loading,
        })
    }
}
