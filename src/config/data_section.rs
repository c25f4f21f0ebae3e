//! `[data]`: the dataset with its own keys, the transforms and the loading.

use std::path::{Path, PathBuf};

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
    /// Cars196, classes 1–98 train and 99–196 test: `car_ims/` with `cars_annos.mat`, or `cars_train/`,
    /// `cars_test/` and `devkit/`.
    Cars196(PublishedConfig),
    /// CUB-200-2011, classes 1–100 train and 101–200 test: `images.txt`, `image_class_labels.txt`,
    /// `classes.txt` and `images/`.
    Cub200(PublishedConfig),
    /// Stanford Online Products by its own lists: `Ebay_train.txt`, `Ebay_test.txt` and the folders
    /// beside them.
    Sop(PublishedConfig),
    /// In-Shop Clothes by its own list, with queries and gallery: `list_eval_partition.txt` and
    /// `img/`.
    InShop(PublishedConfig),
    /// `ROOT/train/CLASS/*` and `ROOT/test/CLASS/*`, or `ROOT/CLASS/*`.
    Folder(FolderConfig),
    /// A CSV file with the columns `path` and `label`, and if wanted `split`, `query`, `gallery`.
    Manifest(ManifestConfig),
}

impl DatasetConfig {
    /// The names of all datasets.
    pub const NAMES: [&'static str; 8] = [
        "synthetic",
        "fashion-mnist",
        "cars196",
        "cub200",
        "sop",
        "in-shop",
        "folder",
        "manifest",
    ];

    /// One of each, with the keys that it has by default.
    pub(crate) fn all() -> [Self; 8] {
        [
            Self::Synthetic(SyntheticConfig::default()),
            Self::FashionMnist(FashionMnistConfig::default()),
            Self::Cars196(PublishedConfig::default()),
            Self::Cub200(PublishedConfig::default()),
            Self::Sop(PublishedConfig::default()),
            Self::InShop(PublishedConfig::default()),
            Self::Folder(FolderConfig::default()),
            Self::Manifest(ManifestConfig::default()),
        ]
    }

    /// Its name in the configuration.
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
        }]
    }

    /// Where its files lie; none for images that are drawn.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Self::Synthetic(_) => None,
            Self::FashionMnist(keys) => Some(&keys.root),
            Self::Cars196(keys) | Self::Cub200(keys) | Self::Sop(keys) | Self::InShop(keys) => {
                Some(&keys.root)
            }
            Self::Folder(keys) => Some(&keys.root),
            Self::Manifest(keys) => Some(&keys.root),
        }
    }

    /// The paths among its keys.
    pub(super) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
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
        }
    }

    /// Whether its images are files, which a cache spares from being decoded again.
    pub fn has_image_files(&self) -> bool {
        !matches!(self, Self::Synthetic(_) | Self::FashionMnist(_))
    }
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

/// Keys of the benchmark datasets `cars196`, `cub200`, `sop` and `in-shop`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishedConfig {
    /// The folder that the archive unpacks to, or the one above it. It has to be given.
    pub root: PathBuf,
}

/// Keys of `dataset = "folder"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FolderConfig {
    /// The folder with `train/` and `test/`, or with one folder per class, which are then divided by
    /// `train_share`. It has to be given.
    pub root: PathBuf,
    /// Share of the classes that train where there is no `train/` and `test/`, above 0 and below 1.
    pub train_share: f64,
    /// Seed by which classes are drawn for training. Absent: the first by name train.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// What becomes of classes with one image.
    pub single_image_classes: SingleImageClasses,
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            train_share: 0.5,
            split_seed: None,
            single_image_classes: SingleImageClasses::default(),
        }
    }
}

/// Keys of `dataset = "manifest"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManifestConfig {
    /// The CSV file, or the folder in which it lies as `manifest.csv`. It has to be given.
    pub root: PathBuf,
    /// The folder that the paths in it are relative to. Absent: the one it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Share of the classes that train where there is no column `split`, above 0 and below 1.
    pub train_share: f64,
    /// Seed by which classes are drawn for training. Absent: the first by name train.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// What becomes of classes with one image.
    pub single_image_classes: SingleImageClasses,
}

impl Default for ManifestConfig {
    fn default() -> Self {
        let FolderConfig {
            root,
            train_share,
            split_seed,
            single_image_classes,
        } = FolderConfig::default();
        Self {
            root,
            images: None,
            train_share,
            split_seed,
            single_image_classes,
        }
    }
}

/// What becomes of a class with one image, which has no positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SingleImageClasses {
    /// They are an error that names the first.
    #[default]
    Refuse,
    /// They are left out.
    Drop,
    /// In the test split they stay, to be found by no query; in the training split they are left
    /// out.
    Gallery,
    /// In the training split the image is its own positive, told apart by its augmentation; in the
    /// test split as with `gallery`.
    Repeat,
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
    /// Share of training images that are cropped instead of being resized straight to `image_size`
    /// (½ in the published recipe), 0 to 1.
    pub crop_probability: f64,
    /// Random resized crops: the range of a crop's share of the image's area, within 0 to 1, from
    /// an image whose shorter side is `resize`. Absent: crops of `image_size` from the `resize`
    /// square, as published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_scale: Option<[f64; 2]>,
    /// Range of a random resized crop's width divided by its height, above 0.
    pub crop_ratio: [f64; 2],
    /// Share of training images that are mirrored left to right (½ in the published recipe), 0 to 1.
    pub flip_probability: f64,
    /// Brightness is multiplied by 1 − b to 1 + b, b from 0 (off, as published).
    pub brightness: f64,
    /// Contrast is multiplied by 1 − c to 1 + c, c from 0 (off).
    pub contrast: f64,
    /// Saturation is multiplied by 1 − s to 1 + s, s from 0 (off).
    pub saturation: f64,
    /// The hue is turned by up to h turns to either side, h from 0 (off) to ½.
    pub hue: f64,
    /// Share of training images that lose their colour, 0 (off) to 1.
    pub grey_probability: f64,
    /// Share of training images that are blurred, 0 (off) to 1.
    pub blur_probability: f64,
    /// Range of the blur's standard deviation in pixels of the network's input, above 0.
    pub blur_sigma: [f64; 2],
    /// Share of training images of which a rectangle is filled with the mean colour, 0 (off) to 1.
    pub erase_probability: f64,
    /// Range of the rectangle's share of the area, above 0 and below 1.
    pub erase_scale: [f64; 2],
    /// How a test image is brought to `image_size`.
    pub test_view: TestView,
    /// Whether JPEGs with at least six times the pixels that are needed in each direction are decoded
    /// at a half, a quarter or an eighth of their size: in half the time and less memory, but not to
    /// the same level everywhere.
    pub reduced_decoding: bool,
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
            crop_scale: None,
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip_probability: 0.5,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey_probability: 0.0,
            blur_probability: 0.0,
            blur_sigma: [0.1, 2.0],
            erase_probability: 0.0,
            erase_scale: [0.02, 0.33],
            test_view: TestView::default(),
            reduced_decoding: true,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}

/// How a test image is brought to S×S.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestView {
    /// Resized straight, aspect not kept, as published.
    #[default]
    Straight,
    /// Its shorter side resized to `data.resize`, and the middle cut out.
    CenterCrop,
}

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

/// A part of `[data]`, whose keys stand among those of others.
trait Part: Default + Serialize + for<'de> Deserialize<'de> {
    /// One with every key, those that are absent by default too.
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
    /// One of each dataset, together with every key of `[data]` that it can have.
    pub(super) fn with_every_key() -> Vec<Self> {
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

/// Takes the keys of `T` out of `table`.
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
