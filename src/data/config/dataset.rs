//! The datasets, each with its keys.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `data.dataset` and the keys of this dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "dataset", rename_all = "kebab-case")]
pub enum DatasetConfig {
    /// A fine-grained dataset drawn from a seed. It needs no file.
    Synthetic(SyntheticConfig),
    /// Fashion-MNIST's IDX files, plain or gzipped.
    FashionMnist(FashionMnistConfig),
    /// Cars196, training classes 1–98, test classes 99–196: `car_ims/` with `cars_annos.mat`, or
    /// `cars_train/`, `cars_test/` and `devkit/`.
    Cars196(PublishedConfig),
    /// CUB-200-2011, training classes 1–100, test classes 101–200: `images.txt`,
    /// `image_class_labels.txt`, `classes.txt` and `images/`.
    Cub200(PublishedConfig),
    /// Stanford Online Products, split by its lists: `Ebay_train.txt`, `Ebay_test.txt` and the folders
    /// beside them.
    Sop(PublishedConfig),
    /// In-Shop Clothes, split by its list, with queries and gallery: `list_eval_partition.txt` and
    /// `img/`.
    InShop(PublishedConfig),
    /// `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
    Folder(FolderConfig),
    /// A CSV file with the columns `path` and `label`, and optionally `split`, `query`, `gallery`, `x_1`, `y_1`,
    /// `x_2` and `y_2`.
    Manifest(ManifestConfig),
    /// Features of any model, to train a head on: a file of embeddings with labels (safetensors, `.npy`, `.npz` or
    /// Parquet), or a folder with the files `train.*` and `test.*`.
    Embeddings(EmbeddingsConfig),
}

impl DatasetConfig {
    /// The names of all datasets.
    pub const NAMES: [&'static str; 9] = [
        "synthetic",
        "fashion-mnist",
        "cars196",
        "cub200",
        "sop",
        "in-shop",
        "folder",
        "manifest",
        "embeddings",
    ];

    /// Returns one of each, with default keys.
    pub(crate) fn all() -> [Self; 9] {
        [
            Self::Synthetic(SyntheticConfig::default()),
            Self::FashionMnist(FashionMnistConfig::default()),
            Self::Cars196(PublishedConfig::default()),
            Self::Cub200(PublishedConfig::default()),
            Self::Sop(PublishedConfig::default()),
            Self::InShop(PublishedConfig::default()),
            Self::Folder(FolderConfig::default()),
            Self::Manifest(ManifestConfig::default()),
            Self::Embeddings(EmbeddingsConfig::default()),
        ]
    }

    /// Returns its name in the configuration.
    pub fn name(&self) -> &'static str {
        Self::NAMES[match self {
            Self::Synthetic(_) => 0,
            Self::FashionMnist(_) => 1,
            Self::Cars196(_) => 2,
            Self::Cub200(_) => 3,
            Self::Sop(_) => 4,
            Self::InShop(_) => 5,
            Self::Folder(_) => 6,
            Self::Manifest(_) => 7,
            Self::Embeddings(_) => 8,
        }]
    }

    /// Returns the folder or file of the images or features, or `None` for drawn images.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Self::Synthetic(_) => None,
            Self::FashionMnist(keys) => Some(&keys.root),
            Self::Cars196(keys) | Self::Cub200(keys) | Self::Sop(keys) | Self::InShop(keys) => {
                Some(&keys.root)
            }
            Self::Folder(keys) => Some(&keys.root),
            Self::Manifest(keys) => Some(&keys.root),
            Self::Embeddings(keys) => Some(&keys.root),
        }
    }

    /// Returns its keys that are paths.
    pub(crate) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Synthetic(_) => Vec::new(),
            Self::FashionMnist(keys) => vec![&mut keys.root],
            Self::Cars196(keys) | Self::Cub200(keys) | Self::Sop(keys) | Self::InShop(keys) => {
                vec![&mut keys.root]
            }
            Self::Folder(keys) => vec![&mut keys.root],
            Self::Manifest(keys) => [Some(&mut keys.root), keys.images.as_mut()]
                .into_iter()
                .flatten()
                .collect(),
            Self::Embeddings(keys) => [Some(&mut keys.root), keys.labels.as_mut()]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// Returns whether it has features instead of images. Then no key of the transform and the loading applies.
    pub fn has_features(&self) -> bool {
        matches!(self, Self::Embeddings(_))
    }

    /// Returns whether its images are files, so that a cache avoids decoding them again.
    pub fn has_image_files(&self) -> bool {
        !matches!(
            self,
            Self::Synthetic(_) | Self::FashionMnist(_) | Self::Embeddings(_)
        )
    }
}

/// Keys of `dataset = "synthetic"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Number of classes, even, at least 4. The first half is the training split, the second the test
    /// split.
    #[schemars(range(min = 4, max = 100_000), extend("multipleOf" = 2))]
    pub classes: usize,
    /// Images drawn for each class, at least 2.
    #[schemars(range(min = 2, max = 10_000))]
    pub images_per_class: usize,
    /// Seed of the drawings, independent of `training.seed`.
    #[schemars(range(max = i64::MAX))]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FashionMnistConfig {
    /// Folder with `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`,
    /// `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` (with or without `.gz`).
    #[schemars(extend("format" = "path"))]
    pub root: PathBuf,
    /// Training classes (0 to 9).
    #[schemars(inner(range(max = 9)), length(min = 2))]
    pub train_classes: Vec<u8>,
    /// Test classes (0 to 9). None may be a training class.
    #[schemars(inner(range(max = 9)), length(min = 2))]
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

/// Keys of the benchmark datasets `cars196`, `cub200`, `sop` and `in-shop`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishedConfig {
    /// The folder that the archive unpacks to, or its parent. Required.
    #[schemars(extend("format" = "path"))]
    pub root: PathBuf,
}

/// Keys of `dataset = "folder"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FolderConfig {
    /// The folder with `train/` and `test/`, or with one folder per class. Without `train/` and `test/`,
    /// the classes are divided by `train_share`. Required.
    #[schemars(extend("format" = "path"))]
    pub root: PathBuf,
    /// Share of the classes in the training split, used if there is no `train/` and `test/`, above 0 and
    /// below 1. `split_seed` draws them.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub train_share: f64,
    /// How classes with one image are treated.
    pub single_image_classes: SingleImageClasses,
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            train_share: 0.5,
            single_image_classes: SingleImageClasses::default(),
        }
    }
}

/// Keys of `dataset = "manifest"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManifestConfig {
    /// The CSV file, or the folder that contains it as `manifest.csv` or `manifest.tsv`. Required.
    #[schemars(extend("format" = "path"))]
    pub root: PathBuf,
    /// The folder that the paths in the file are relative to. If absent: the folder of the file.
    #[schemars(extend("format" = "path"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Share of the classes in the training split, used if there is no column `split`, above 0 and below
    /// 1. `split_seed` draws them.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub train_share: f64,
    /// How classes with one image are treated.
    pub single_image_classes: SingleImageClasses,
}

impl Default for ManifestConfig {
    fn default() -> Self {
        let FolderConfig {
            root,
            train_share,
            single_image_classes,
        } = FolderConfig::default();
        Self {
            root,
            images: None,
            train_share,
            single_image_classes,
        }
    }
}

/// Keys of `dataset = "embeddings"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingsConfig {
    /// A file of embeddings with labels, whose classes are divided by `train_share`, or the folder that contains
    /// one file `train` and one file `test` (`.safetensors`, `.npy`, `.npz` or `.parquet`). Required.
    #[schemars(extend("format" = "path"))]
    pub root: PathBuf,
    /// A file with the label of each row of a single file. If absent: the labels in the file, or for `NAME.npy`
    /// those in `NAME.labels.npy`.
    #[schemars(extend("format" = "path"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Share of the classes in the training split, used if there is one file, above 0 and below 1. `split_seed`
    /// draws them.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub train_share: f64,
    /// How classes with one row are treated.
    pub single_image_classes: SingleImageClasses,
}

impl Default for EmbeddingsConfig {
    fn default() -> Self {
        let FolderConfig {
            root,
            train_share,
            single_image_classes,
        } = FolderConfig::default();
        Self {
            root,
            labels: None,
            train_share,
            single_image_classes,
        }
    }
}

/// How a class with one image is treated, since it has no positive pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SingleImageClasses {
    /// It is an error.
    #[default]
    Refuse,
    /// It is left out.
    Drop,
    /// In the test split its image is in the gallery only. In the training split the class is left
    /// out.
    Gallery,
    /// In the training split the image is its own positive, with another augmentation. In the test split
    /// as with `gallery`.
    Repeat,
}
