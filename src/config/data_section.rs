//! `[data]`: the dataset with its own keys, the transforms and the loading.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[data]`: which images, and how they are prepared.
///
/// Keys that belong to one dataset only (`root`, `classes`, …) are errors with another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct DataConfig {
    /// The dataset and the keys of its own.
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

/// `data.dataset` and the keys that only this dataset has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "dataset", rename_all = "kebab-case")]
pub enum DatasetConfig {
    /// A fine-grained set drawn from a seed; needs no file.
    Synthetic(SyntheticConfig),
    /// Fashion-MNIST's IDX files, plain or gzipped.
    FashionMnist(FashionMnistConfig),
    /// `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
    Folder(FolderConfig),
}

/// Keys of `dataset = "synthetic"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Number of classes, even, at least 4; the first half trains, the second tests.
    pub classes: usize,
    /// Images drawn for each class, at least 2.
    pub images_per_class: usize,
    /// Seed of the drawings, apart from `training.seed`.
    pub drawing_seed: u64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            classes: 80,
            images_per_class: 40,
            drawing_seed: 1,
        }
    }
}

/// Keys of `dataset = "fashion-mnist"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FashionMnistConfig {
    /// Folder with `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`,
    /// `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` (with or without `.gz`).
    pub root: PathBuf,
    /// Classes (0 to 9) whose images train.
    pub train_classes: Vec<u8>,
    /// Classes (0 to 9) whose images test; none may also train.
    pub test_classes: Vec<u8>,
}

impl Default for FashionMnistConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/usr/share/datasets/fashion-mnist"),
            train_classes: vec![0, 1, 2, 3, 4],
            test_classes: vec![5, 6, 7, 8, 9],
        }
    }
}

/// Keys of `dataset = "folder"`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FolderConfig {
    /// The folder with `train/` and `test/`, or with one folder per class, in which case the first
    /// half of the sorted class names trains and the rest tests. It has to be given.
    pub root: PathBuf,
}

/// Keys of `[data]` that say how an image becomes the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransformConfig {
    /// Side of the square that the network sees, in pixels (227 in the published recipe).
    pub image_size: usize,
    /// Side of the square from which a random crop of `image_size` is cut in training, in pixels,
    /// at least `image_size` (255 in the published recipe).
    pub resize: usize,
    /// Share of training images that are cropped from the `resize` square instead of being resized
    /// straight to `image_size` (½ in the published recipe), 0 to 1.
    pub crop_probability: f64,
    /// Share of training images that are mirrored left to right (½ in the published recipe), 0 to 1.
    pub flip_probability: f64,
    /// Mean subtracted from red, green and blue, on the scale 0 to 1 (ImageNet's).
    pub mean: [f32; 3],
    /// Standard deviation that red, green and blue are divided by (ImageNet's), above 0.
    pub std: [f32; 3],
}

impl Default for TransformConfig {
    fn default() -> Self {
        Self {
            image_size: 32,
            resize: 36,
            crop_probability: 0.5,
            flip_probability: 0.5,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}

/// Keys of `[data]` that say how images are loaded; they change speed, never the batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadingConfig {
    /// Worker threads that read and transform images; 0 means one for each core.
    pub workers: usize,
    /// Batches kept ready ahead of the network, at least 1.
    pub prefetch: usize,
}

impl Default for LoadingConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            prefetch: 3,
        }
    }
}

/// Takes the keys of `T` out of `table`: the keys that serialising its default shows.
fn take<T>(table: &mut toml::Table) -> Result<T, String>
where
    T: Default + Serialize + for<'de> Deserialize<'de>,
{
    let known = toml::Table::try_from(T::default()).map_err(|error| error.to_string())?;
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
