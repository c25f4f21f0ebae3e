//! The sections of a configuration, each key with its meaning, unit and range; `[data]` and `[loss]`
//! with `[negatives]`, which consist of choices, have files of their own. **The `Default`
//! implementations in these files, and those of the losses' configurations for the keys of `[loss]`,
//! are the one place where defaults stand.**

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{GemConfig, Pooling, WeightsSource};
use crate::negatives::Space;

/// `[model]`: the network that maps an image to an embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The convolutional network under the embedding head.
    pub backbone: Backbone,
    /// Pretrained backbone weights: a PyTorch state dictionary (`.pth`, `.pt`) or `.safetensors`
    /// with torchvision's names; or `imagenet`, the published ones, downloaded once to the user's
    /// cache folder; or `imagenet-v2`, where there is a second published file. Absent: random
    /// initialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSource>,
    /// How a feature map is pooled: `average` (as published), `max`, `gem`, or a list of several,
    /// each with a dense layer of its own for an equal part of the embedding (CGD).
    pub pooling: Pooling,
    /// GeM's p, at least 1, the initial one where it is learned; only beside `gem`. Absent: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gem_power: Option<f64>,
    /// Whether p is learned, and never falls below 1; only beside `gem`. Absent: it is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gem_learned: Option<bool>,
    /// Length D of an embedding, at least 2 for each descriptor of `pooling` and a multiple of their
    /// number (512 in the published tables).
    pub embedding_dim: usize,
    /// Whether embeddings are scaled to unit length, so that distances are those on the sphere. Where
    /// a file does not say, the loss decides ([`LossKind::space`](super::LossKind::space)).
    pub normalize: bool,
    /// Share of the pooled features that each step of training sets to 0 before the dense layer, at
    /// least 0 and below 1.
    pub dropout: f64,
    /// Whether batch norms keep to their running statistics in training: the usual way to fine-tune
    /// ImageNet weights with batches of few classes. Their γ and β train. Meant for pretrained
    /// weights: the running statistics of a random network normalise nothing.
    pub freeze_batch_norm: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: Backbone::Conv4,
            weights: None,
            pooling: Pooling::default(),
            gem_power: None,
            gem_learned: None,
            embedding_dim: 64,
            normalize: true,
            dropout: 0.0,
            freeze_batch_norm: false,
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

    /// How GeM pools, if it does.
    pub fn gem(&self) -> GemConfig {
        let default = GemConfig::default();
        GemConfig {
            power: self.gem_power.unwrap_or(default.power),
            learned: self.gem_learned.unwrap_or(default.learned),
        }
    }

    /// Writes GeM's defaults out where it pools, so that a run's configuration says them.
    pub(super) fn write_out_gem(&mut self) {
        if self.pooling.has_gem() {
            let GemConfig { power, learned } = self.gem();
            self.gem_power = Some(power);
            self.gem_learned = Some(learned);
        }
    }
}

/// The backbones by their names in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// Four convolution blocks for images of 32 to 64 pixels.
    Conv4,
    /// GoogLeNet with batch norm in torchvision's layout, up to `inception5b`. With weights, images
    /// are re-scaled to the (x − ½) / ½ of its ImageNet weights.
    #[serde(rename = "googlenet")]
    GoogLeNet,
    /// ResNet-50 in torchvision's layout, up to `layer4`.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// EfficientNet-Lite0 in the layout of the package `efficientnet_lite_pytorch`, up to its last
    /// convolution. With weights, images are re-scaled to the (255 x − 127) / 128 of its ImageNet
    /// weights.
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
}

impl Backbone {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Conv4,
        Self::GoogLeNet,
        Self::ResNet50,
        Self::EfficientNetLite0,
    ];
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conv4 => "conv4",
            Self::GoogLeNet => "googlenet",
            Self::ResNet50 => "resnet50",
            Self::EfficientNetLite0 => "efficientnet-lite0",
        })
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
    /// Which classes and images an epoch meets.
    pub sampler: Sampler,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            classes: 16,
            images_per_class: 4,
            sampler: Sampler::default(),
        }
    }
}

/// Which classes and images an epoch meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// A class in proportion to its images, (number of classes × K) images an epoch, as published.
    #[default]
    Proportional,
    /// Every class as often as any other, as many images an epoch.
    Uniform,
    /// Every image once an epoch. What a class lacks to whole groups of K, and the last batches to P
    /// classes, is filled with images that come again.
    EveryImage,
}

/// `[optimizer]`: Adam with L2 weight decay and step decay of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate before any decay, above 0 (1e-4 in the published recipe); the backbone's is
    /// `backbone_factor` times it.
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
    /// The backbone's learning rate as a multiple of the head's, above 0.
    pub backbone_factor: f64,
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
            backbone_factor: 1.0,
        }
    }
}

/// `[training]`: how long, from which seed, and how often the test split is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Epochs; one is (training classes × K) images, the last partial batch dropped, as published.
    pub epochs: usize,
    /// For so many epochs, from the first, only the head trains: the backbone works as at evaluation
    /// and nothing in it changes. With `epochs` or more, always (linear probing).
    pub freeze_epochs: usize,
    /// Whether a training step keeps only what goes into each stage of the backbone and computes the
    /// rest anew for the gradients: a fraction of the memory for about a third more time, and the same
    /// numbers.
    pub gradient_checkpointing: bool,
    /// Seed of the initialisation, the batches, the augmentation and the dropout.
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
            freeze_epochs: 0,
            gradient_checkpointing: false,
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
    /// Whether an image's embedding is the mean of its own and its mirror image's, scaled again to
    /// unit length where embeddings are. Off in the published tables.
    pub mirror: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            recall: vec![1, 2, 4, 8],
            batch_size: 64,
            mirror: false,
        }
    }
}
