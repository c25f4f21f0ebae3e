//! The sections of a configuration, each key with its meaning, unit and range. **The `Default`
//! implementations in this file, and those of the losses' configurations for the keys of `[loss]`,
//! are the one place where defaults stand.**

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::loss::{
    HphnTripletLossConfig, LiftedStructureLossConfig, Loss, MultiSimilarityLossConfig,
    NPairLossConfig, TripletLossConfig,
};
use crate::negatives::{Negatives, Space};

/// `[model]`: the network that maps an image to an embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The convolutional network under the embedding head.
    pub backbone: Backbone,
    /// Pretrained backbone weights: a PyTorch state dictionary (`.pth`, `.pt`) or `.safetensors`
    /// with torchvision's names. Absent: random initialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Length D of an embedding, at least 2 (512 in the published tables).
    pub embedding_dim: usize,
    /// Whether embeddings are scaled to unit length, so that distances are those on the sphere. Where
    /// a file does not say, the loss decides ([`LossKind::space`]).
    pub normalize: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: Backbone::Conv4,
            weights: None,
            embedding_dim: 64,
            normalize: true,
        }
    }
}

impl ModelConfig {
    /// Where its embeddings lie.
    pub fn space(&self) -> Space {
        if self.normalize {
            Space::Sphere
        } else {
            Space::Euclidean
        }
    }
}

/// The backbones by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// Four convolution blocks for images of 32 to 64 pixels.
    Conv4,
    /// GoogLeNet with batch norm in torchvision's layout, up to `inception5b`.
    #[serde(rename = "googlenet")]
    GoogLeNet,
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conv4 => "conv4",
            Self::GoogLeNet => "googlenet",
        })
    }
}

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

/// `[batch]`: P classes with K images each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// P, the distinct classes of a batch, at least 2.
    pub classes: usize,
    /// K, the images of each class, even and at least 2; the images of a class lie together.
    pub images_per_class: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            classes: 16,
            images_per_class: 4,
        }
    }
}

/// `[loss]`: the loss and the keys of its own, and how per-anchor losses become one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct LossConfig {
    /// The loss and its keys.
    #[serde(flatten)]
    pub kind: LossKind,
    /// Whether the gradient is that of the sum over anchors, as published, or of their mean.
    pub reduction: Reduction,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::HphnTriplet(HphnTripletLossConfig::default()),
            reduction: Reduction::Sum,
        }
    }
}

/// `loss.name` and the keys that only this loss has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum LossKind {
    /// Triplet.
    Triplet(TripletLossConfig),
    /// Hard positive, hard negative triplet.
    HphnTriplet(HphnTripletLossConfig),
    /// Lifted structure.
    LiftedStructure(LiftedStructureLossConfig),
    /// N-pair, which by default does without embeddings of unit length.
    NPair(NPairLossConfig),
    /// Multi-similarity.
    MultiSimilarity(MultiSimilarityLossConfig),
}

impl LossKind {
    /// Initialises the loss.
    pub fn init(&self) -> Loss {
        match self {
            Self::Triplet(config) => Loss::Triplet(config.init()),
            Self::HphnTriplet(config) => Loss::HphnTriplet(config.init()),
            Self::LiftedStructure(config) => Loss::LiftedStructure(config.init()),
            Self::NPair(config) => Loss::NPair(config.init()),
            Self::MultiSimilarity(config) => Loss::MultiSimilarity(config.init()),
        }
    }

    /// Every loss with its defaults.
    pub fn all() -> [Self; 5] {
        [
            Self::Triplet(Default::default()),
            Self::HphnTriplet(Default::default()),
            Self::LiftedStructure(Default::default()),
            Self::NPair(Default::default()),
            Self::MultiSimilarity(Default::default()),
        ]
    }

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Triplet(_) => "triplet",
            Self::HphnTriplet(_) => "hphn-triplet",
            Self::LiftedStructure(_) => "lifted-structure",
            Self::NPair(_) => "n-pair",
            Self::MultiSimilarity(_) => "multi-similarity",
        }
    }

    /// Where embeddings lie unless `model.normalize` says otherwise: all losses but N-pair are
    /// published on the sphere.
    pub fn space(&self) -> Space {
        match self {
            Self::NPair(_) => Space::Euclidean,
            _ => Space::Sphere,
        }
    }
}

/// How the anchors' losses become the number whose gradient is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Sum over anchors, as published; it matters beside weight decay.
    Sum,
    /// Mean over the anchors that have a positive and a negative.
    Mean,
}

/// `[negatives]`: where negatives are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NegativesConfig {
    // Variants with braces, without which serde would let any key pass.
    /// Among the images' own embeddings.
    None {},
    /// Embedding Expansion: also among points between two images of a class.
    EmbeddingExpansion(EmbeddingExpansionConfig),
    /// LoOp: the closest approach of the curve between two images of a class and the curve between
    /// two images of another.
    Loop {},
}

impl Default for NegativesConfig {
    fn default() -> Self {
        Self::Loop {}
    }
}

impl NegativesConfig {
    /// Every way with its defaults.
    pub fn all() -> [Self; 3] {
        [
            Self::None {},
            Self::EmbeddingExpansion(Default::default()),
            Self::Loop {},
        ]
    }

    /// The name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::EmbeddingExpansion(_) => "embedding-expansion",
            Self::Loop {} => "loop",
        }
    }

    /// Initialises the way of looking for negatives.
    pub fn init(&self) -> Negatives {
        match self {
            Self::None {} => Negatives::None,
            Self::EmbeddingExpansion(config) => Negatives::EmbeddingExpansion {
                points: config.points,
            },
            Self::Loop {} => Negatives::Loop,
        }
    }
}

/// Keys of `name = "embedding-expansion"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingExpansionConfig {
    /// n, the inner points between two images of a class, 1 to 64 (2 published).
    pub points: usize,
}

impl Default for EmbeddingExpansionConfig {
    fn default() -> Self {
        Self { points: 2 }
    }
}

/// `[optimizer]`: Adam with L2 weight decay and step decay of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate before any decay, above 0 (1e-4 in the published recipe).
    pub learning_rate: f64,
    /// L2 penalty added to the gradient (not decoupled), at least 0 (5e-4 published).
    pub weight_decay: f64,
    /// Adam's β₁, 0 ≤ β₁ < 1.
    pub beta_1: f64,
    /// Adam's β₂, 0 ≤ β₂ < 1.
    pub beta_2: f64,
    /// Adam's ε, above 0.
    pub epsilon: f64,
    /// Epochs after which the learning rate is multiplied by `decay_factor`, rising.
    pub decay_epochs: Vec<usize>,
    /// Factor of each decay, above 0 and at most 1.
    pub decay_factor: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 5e-4,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            decay_epochs: Vec::new(),
            decay_factor: 0.5,
        }
    }
}

/// `[training]`: how long, from which seed, and how often the test split is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Epochs; one is (training classes × K) images, the last partial batch dropped, as published.
    pub epochs: usize,
    /// Seed of the initialisation, the batches and the augmentation.
    pub seed: u64,
    /// The test split is embedded and measured after every so many epochs, and after the last.
    pub validate_every: usize,
    /// Stop when R@1 has not risen for so many epochs. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<usize>,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            seed: 1,
            validate_every: 1,
            early_stopping: None,
        }
    }
}

/// `[evaluation]`: what is measured on the test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// The K of Recall@K, rising, each at least 1.
    pub recall: Vec<usize>,
    /// Images embedded at once; it changes speed and memory, never a measure.
    pub batch_size: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            recall: vec![1, 2, 4, 8],
            batch_size: 64,
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

impl TryFrom<toml::Table> for LossConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let message = |error: toml::de::Error| error.message().to_string();
        let reduction = match table.remove("reduction") {
            Some(value) => value.try_into().map_err(message)?,
            None => Reduction::Sum,
        };
        if !table.contains_key("name") {
            table.insert("name".into(), "hphn-triplet".into());
        }
        Ok(Self {
            kind: table.try_into().map_err(message)?,
            reduction,
        })
    }
}
