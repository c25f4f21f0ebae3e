//! The configuration of an embedder, and its initial weights.

use burn::{
    module::Param,
    nn::{Initializer, Linear},
    tensor::{Distribution, Tensor, backend::Backend},
};

use super::{
    BackboneNetwork, Embedder,
    hidden_layer::HiddenLayer,
    layers::{
        ConvAlgorithm, LayerOptions,
        initial_weights::{draw, with_seed},
    },
    pooling::GemPool,
    standardization::Standardization,
    weights::{Loaded, WeightsError, load_weights, locate},
};
use crate::cancellation::CancellationToken;
use crate::model::config::{Backbone, GemConfig, ModelConfig, Pooling, WeightsSource};
use crate::progress::{NoProgress, ProgressObserver};

/// Magnitude of the head's Xavier initialisation (the published code).
const HEAD_MAGNITUDE: f64 = 2.0;

/// Configuration of an [`Embedder`]: the `[model]` section of a run's configuration, and how
/// convolutions are computed on the backend.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedderConfig {
    /// The network below the head.
    pub backbone: Backbone,
    /// The length of the features that the head is trained on without a backbone.
    pub feature_dim: usize,
    /// Whether features are standardised.
    pub standardize: bool,
    /// Pretrained weights of the backbone. **If set, images for GoogLeNet and EfficientNet-Lite0 are
    /// also rescaled as their ImageNet weights expect**, even if a checkpoint replaces the weights.
    pub weights: Option<WeightsSource>,
    /// The n descriptors that a feature map is pooled to.
    pub pooling: Pooling,
    /// How GeM pools, if it is one of them.
    pub gem: GemConfig,
    /// The number of units of the head's hidden layer, if it has one; for one descriptor.
    pub hidden: Option<usize>,
    /// Length D of an embedding, a multiple of n.
    pub embedding_dim: usize,
    /// Whether embeddings are scaled to unit length; with several descriptors, also the part of each.
    pub normalize: bool,
    /// Share of the inputs of the dense layer that dropout sets to 0, at least 0 and below 1.
    pub dropout: f64,
    /// How layers are computed, and whether batch norms are frozen.
    pub layers: LayerOptions,
    /// The seed of the initial weights, which are the same on every backend.
    pub seed: u64,
}

impl From<&ModelConfig> for EmbedderConfig {
    fn from(config: &ModelConfig) -> Self {
        Self {
            backbone: config.backbone,
            feature_dim: config.feature_dim.unwrap_or(1),
            standardize: config.standardize.unwrap_or(false),
            weights: config.weights.clone(),
            pooling: config.pooling.clone(),
            gem: config.gem(),
            hidden: config.hidden,
            embedding_dim: config.embedding_dim,
            normalize: config.normalize,
            dropout: config.dropout,
            layers: LayerOptions {
                freeze_batch_norm: config.freeze_batch_norm,
                ..LayerOptions::default()
            },
            seed: 0,
        }
    }
}

impl EmbedderConfig {
    /// Sets the algorithm of convolutions.
    pub fn with_algorithm(self, algorithm: ConvAlgorithm) -> Self {
        let layers = LayerOptions {
            algorithm,
            ..self.layers
        };
        Self { layers, ..self }
    }

    /// Sets the seed of the initial weights.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Replaces published weights by their file, and checks the name and existence of a user's file.
    /// Downloads a published file that is not in the user's cache folder yet.
    ///
    /// # Errors
    /// Those of [`locate`].
    pub fn with_located_weights(
        self,
        cancellation: &CancellationToken,
        progress: &dyn ProgressObserver,
    ) -> Result<Self, WeightsError> {
        let locate = |source| locate(self.backbone, &source, cancellation, progress);
        let weights = self.weights.map(locate).transpose()?;
        Ok(Self {
            weights: weights.map(WeightsSource::File),
            ..self
        })
    }

    /// The length of a descriptor.
    pub fn features(&self) -> usize {
        self.backbone.features().unwrap_or(self.feature_dim)
    }

    /// The embedder with random weights. Reads no file. Load a checkpoint's record into it to restore a
    /// saved embedder.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Embedder<B> {
        with_seed(self.seed, || self.init_layers(device))
    }

    fn init_layers<B: Backend>(&self, device: &B::Device) -> Embedder<B> {
        let backbone = BackboneNetwork::new(self.backbone, self.layers, device);
        let features = self.features();
        let gem = || GemPool::new(&self.gem, device);
        let hidden = |units| HiddenLayer::new(features, units, device);
        let hidden = self.hidden.map(hidden);
        let inputs = self.hidden.unwrap_or(features);
        Embedder {
            backbone,
            standardization: self
                .standardize
                .then(|| Standardization::identity(features, device)),
            gem: self.pooling.has_gem().then(gem),
            hidden,
            head: head(inputs, self.embedding_dim, self.pooling.0.len(), device),
            scale: self.weights.as_ref().and(self.backbone.published_scale()),
            normalize: self.normalize,
            dropout: self.dropout,
            pooling: self.pooling.clone(),
            algorithm: self.layers.algorithm,
        }
    }

    /// The embedder with pretrained weights in its backbone, if the configuration has any, and how their file
    /// was read.
    ///
    /// # Errors
    /// Those of [`locate`] and [`load_weights`].
    pub fn init_pretrained<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<Loaded<Embedder<B>>, WeightsError> {
        let Some(source) = &self.weights else {
            return Ok(Loaded {
                module: self.init(device),
                notes: Vec::new(),
            });
        };
        let path = &locate(
            self.backbone,
            source,
            &CancellationToken::new(),
            &NoProgress,
        )?;
        let embedder = self.init(device);
        let Loaded { module, notes } = load_weights(embedder.backbone, path)?;
        let module = Embedder {
            backbone: module,
            ..embedder
        };
        Ok(Loaded { module, notes })
    }
}

/// The concatenated dense layers of `descriptors` descriptors with the published initialisation:
/// weights uniform within ±√(magnitude / ((fan_in + fan_out) / 2)) (MXNet's
/// `Xavier(uniform, avg, 2)`), bias 0. The outputs of a layer are its part of the embedding.
fn head<B: Backend>(
    features: usize,
    embedding_dim: usize,
    descriptors: usize,
    device: &B::Device,
) -> Linear<B> {
    let average_fan = (features + embedding_dim / descriptors) as f64 / 2.0;
    let bound = (HEAD_MAGNITUDE / average_fan).sqrt();
    let xavier = Distribution::Uniform(-bound, bound);
    let bias: Param<Tensor<B, 1>> = Initializer::Zeros.init([embedding_dim], device);
    Linear {
        weight: draw([features, embedding_dim], xavier, device),
        bias: Some(bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::embedder::tests::values;

    type B = burn_flex::Flex;

    #[test]
    fn head_starts_within_the_published_bound_and_without_bias() {
        let head = head::<B>(1024, 512, 1, &Default::default());
        let bound = (2.0_f32 / 768.0).sqrt();
        let weights = values(head.weight.val());
        let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "{largest}");
        assert!(values(head.bias.unwrap().val()).iter().all(|&b| b == 0.0));
    }
}
