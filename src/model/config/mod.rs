//! The `[model]` section: the network that maps an image, or features of another model, to an embedding.

mod backbone;
mod features;
mod pooling;
mod published_weights;
mod weights_source;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::negatives::Space;
use crate::setting::{Checked, SettingError, at_least, at_least_one, at_most, below_one};

pub use backbone::Backbone;
pub use features::MAXIMUM_DIM;
pub use pooling::{Descriptor, GemConfig, Pooling};
pub use published_weights::NotPublished;
pub(in crate::model) use published_weights::PublishedWeights;
pub use weights_source::WeightsSource;

/// The `[model]` section: the network that maps an image, or features of another model, to an embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The convolutional network that maps an image to a feature map, or `none` for features.
    pub backbone: Backbone,
    /// Length of a row of features, the input of the head. If absent with `none`: that of the file.
    #[schemars(range(min = 1, max = MAXIMUM_DIM), extend("x-applies-to" = "model.backbone = \"none\""))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_dim: Option<usize>,
    /// Whether features are standardised: the mean of the training rows is subtracted from each number, which is
    /// then divided by their standard deviation. Both are saved with the head. If absent with `none`: true.
    #[schemars(extend("x-applies-to" = "model.backbone = \"none\""))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standardize: Option<bool>,
    /// Pretrained backbone weights: a file (a state dictionary or a checkpoint of PyTorch, or
    /// `.safetensors`); `imagenet`, the published file, downloaded once to the user's cache
    /// folder; or `imagenet-v2`, the second published file, if it exists. If absent, weights are
    /// initialised randomly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSource>,
    /// How a feature map is pooled: `average` (as published), `max`, `gem`, or a list of several, each
    /// with a separate dense layer for an equal part of the embedding (CGD).
    pub pooling: Pooling,
    /// GeM's p, at least 1; the initial value if it is learned. If absent with `gem`: 3.
    #[schemars(range(min = 1), extend("x-applies-to" = "model.pooling = \"gem\", or a list with it"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gem_power: Option<f64>,
    /// Whether GeM's p is learned. It stays at least 1. If absent with `gem`: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-applies-to" = "model.pooling = \"gem\", or a list with it"))]
    pub gem_learned: Option<bool>,
    /// Number of units of a hidden layer with ReLU between the pooled features and the dense layer, so that the
    /// head is a multilayer perceptron; for a single descriptor. If absent: no hidden layer.
    #[schemars(range(min = 1, max = MAXIMUM_DIM))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Length D of an embedding: at least 2 per descriptor of `pooling`, and a multiple of their number
    /// (512 in the published tables).
    #[schemars(range(min = 2, max = MAXIMUM_DIM))]
    pub embedding_dim: usize,
    /// Whether embeddings are scaled to unit length, so that distances are measured on the sphere. If
    /// absent, the loss decides: `false` for `n-pair`, `true` for all others.
    pub normalize: bool,
    /// Share of the inputs of the dense layer that dropout sets to 0 in training, at least 0 and below 1. The
    /// inputs are the pooled features, or the units of the hidden layer.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// Whether batch norms use their running statistics in training: the usual way to fine-tune
    /// ImageNet weights with batches of few classes. Their γ and β are trained. For pretrained weights
    /// only: the running statistics of a random network do not normalise.
    pub freeze_batch_norm: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: Backbone::Conv4,
            feature_dim: None,
            standardize: None,
            weights: None,
            pooling: Pooling::default(),
            gem_power: None,
            gem_learned: None,
            hidden: None,
            embedding_dim: 64,
            normalize: true,
            dropout: 0.0,
            freeze_batch_norm: false,
        }
    }
}

impl ModelConfig {
    /// The space of its embeddings.
    pub fn space(&self) -> Space {
        if self.normalize {
            Space::Sphere
        } else {
            Space::Euclidean
        }
    }

    /// GeM's configuration, with defaults for absent values.
    pub fn gem(&self) -> GemConfig {
        let default = GemConfig::default();
        GemConfig {
            power: self.gem_power.unwrap_or(default.power),
            learned: self.gem_learned.unwrap_or(default.learned),
        }
    }

    /// Sets absent values that apply to their defaults, so that a run's configuration records them.
    pub(crate) fn fill_defaults(&mut self) {
        if self.backbone == Backbone::None {
            self.standardize.get_or_insert(true);
        }
        self.fill_gem_defaults();
    }

    /// Sets absent values of GeM to their defaults if `pooling` has it.
    pub(crate) fn fill_gem_defaults(&mut self) {
        if self.pooling.has_gem() {
            let GemConfig { power, learned } = self.gem();
            self.gem_power = Some(power);
            self.gem_learned = Some(learned);
        }
    }
}

impl ModelConfig {
    /// Checks every value and their combinations.
    ///
    /// # Errors
    ///
    /// The first invalid value, and what to use instead.
    pub fn check(&self) -> Checked {
        self.check_pooling()?;
        self.check_features()?;
        let descriptors = self.pooling.0.len();
        at_least("model.embedding_dim", self.embedding_dim, 2 * descriptors)?;
        at_most("model.embedding_dim", self.embedding_dim, MAXIMUM_DIM)?;
        if let Some(hidden) = self.hidden {
            at_least("model.hidden", hidden, 1)?;
            at_most("model.hidden", hidden, MAXIMUM_DIM)?;
            if descriptors > 1 {
                return Err(SettingError::value(
                    "model.hidden",
                    hidden as i64,
                    "the descriptors of model.pooling have separate dense layers; use one descriptor, or remove this \
                     key",
                ));
            }
        }
        if !self.embedding_dim.is_multiple_of(descriptors) {
            let below = self.embedding_dim - self.embedding_dim % descriptors;
            return Err(SettingError::value(
                "model.embedding_dim",
                self.embedding_dim as i64,
                format!(
                    "must be a multiple of the {descriptors} descriptors of model.pooling; use {below} \
                     or {}",
                    below + descriptors
                ),
            ));
        }
        below_one("model.dropout", self.dropout)?;
        match &self.weights {
            None | Some(WeightsSource::File(_)) => Ok(()),
            Some(source) => match PublishedWeights::find(self.backbone, source) {
                Ok(_) => Ok(()),
                Err(error) => Err(SettingError::value(
                    "model.weights",
                    source.to_string(),
                    error.to_string(),
                )),
            },
        }
    }

    fn check_pooling(&self) -> Checked {
        let refused = |reason: String| {
            Err(SettingError::value(
                "model.pooling",
                self.pooling.clone(),
                reason,
            ))
        };
        if self.pooling.0.is_empty() {
            return refused("use one or more of average, max and gem".into());
        }
        if let Some(twice) = self.pooling.repeated() {
            return refused(format!("has {twice} twice; list it once"));
        }
        if let Some(power) = self.gem_power {
            at_least_one("model.gem_power", power)?;
        }
        let unused = [
            ("model.gem_power", self.gem_power.is_some()),
            ("model.gem_learned", self.gem_learned.is_some()),
        ];
        match unused.into_iter().find(|(_, set)| *set) {
            Some((key, _)) if !self.pooling.has_gem() => Err(SettingError::NotApplicable {
                key: key.into(),
                chosen: format!(
                    "`model.pooling = {}`",
                    toml::Value::from(self.pooling.clone())
                ),
            }),
            _ => Ok(()),
        }
    }
}
