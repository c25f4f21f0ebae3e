//! `[data]`: the dataset with its keys, the validation classes, the transforms and the loading; `[batch]`.

mod batch;
mod check;
mod dataset;
mod hold_out;
mod loading;
mod transform;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

pub use batch::*;
pub use dataset::*;
pub use hold_out::*;
pub use loading::*;
pub use transform::*;

/// `[data]`: which images, and how they are prepared.
///
/// Keys that belong to one dataset only (`root`, `classes`, …) are errors with another. The keys of the transform
/// and the loading belong to images only.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "toml::Table")]
#[schemars(!try_from, default)]
pub struct DataConfig {
    /// The dataset and its keys.
    #[serde(flatten)]
    pub source: DatasetConfig,
    /// Which training classes are held out for validation.
    #[serde(flatten)]
    pub hold_out: HoldOutConfig,
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
            hold_out: HoldOutConfig::default(),
            transform: TransformConfig::default(),
            loading: LoadingConfig::default(),
        }
    }
}

/// Writes the keys that the dataset has: features are neither transformed nor decoded.
impl Serialize for DataConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Keys<'a> {
            #[serde(flatten)]
            source: &'a DatasetConfig,
            #[serde(flatten)]
            hold_out: &'a HoldOutConfig,
            #[serde(flatten)]
            transform: Option<&'a TransformConfig>,
            #[serde(flatten)]
            loading: Option<&'a LoadingConfig>,
        }
        let has_images = !self.source.has_features();
        let keys = Keys {
            source: &self.source,
            hold_out: &self.hold_out,
            transform: has_images.then_some(&self.transform),
            loading: has_images.then_some(&self.loading),
        };
        keys.serialize(serializer)
    }
}

/// A part of `[data]`. Its keys are in the same table as those of other parts.
trait Part: Serialize + for<'de> Deserialize<'de> {
    /// Returns a value with every key, including those that are absent by default.
    fn with_every_key() -> Self;
}

impl Part for HoldOutConfig {
    fn with_every_key() -> Self {
        Self {
            validation_share: Some(0.0),
            split_seed: Some(0),
            folds: Some(0),
            fold: Some(0),
        }
    }
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
                    DatasetConfig::Manifest(keys) => keys.images = Some(PathBuf::new()),
                    DatasetConfig::Embeddings(keys) => keys.labels = Some(PathBuf::new()),
                    _ => {}
                }
                Self {
                    source,
                    hold_out: HoldOutConfig::with_every_key(),
                    transform: TransformConfig::with_every_key(),
                    loading: LoadingConfig::with_every_key(),
                }
            })
            .collect()
    }

    /// Returns the keys that `dataset` shares with others: with features, only those that hold classes out.
    pub(crate) fn shared_keys(dataset: &str) -> Vec<String> {
        let held_out = keys::<HoldOutConfig>();
        match dataset == DatasetConfig::Embeddings(EmbeddingsConfig::default()).name() {
            true => held_out,
            false => [held_out, keys::<TransformConfig>(), keys::<LoadingConfig>()].concat(),
        }
    }
}

/// Returns the keys of `T`.
fn keys<T: Part>() -> Vec<String> {
    let table = toml::Table::try_from(T::with_every_key()).expect("a part is a table");
    table.keys().cloned().collect()
}

/// Removes the keys of `T` from `table`.
fn take<T: Part>(table: &mut toml::Table) -> Result<T, String> {
    let own: toml::Table = keys::<T>()
        .iter()
        .filter_map(|key| table.remove_entry(key))
        .collect();
    own.try_into()
        .map_err(|error: toml::de::Error| error.message().to_string())
}

impl TryFrom<toml::Table> for DataConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let mut hold_out: HoldOutConfig = take(&mut table)?;
        hold_out.fill_default();
        let resize_is_given = table.contains_key("resize");
        let mut transform: TransformConfig = take(&mut table)?;
        if !resize_is_given {
            transform.resize = transform::proportional_resize(transform.image_size);
        }
        let loading = take(&mut table)?;
        if !table.contains_key("dataset") {
            table.insert("dataset".into(), "synthetic".into());
        }
        Ok(Self {
            source: table
                .try_into()
                .map_err(|error: toml::de::Error| error.message().to_string())?,
            hold_out,
            transform,
            loading,
        })
    }
}
