//! The embedder: backbone, global pooling, head, normalisation.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, backend::Backend},
};

use super::{
    BackboneNetwork,
    dense::dense,
    hidden_layer::HiddenLayer,
    image_scale::ImageScale,
    layers::ConvAlgorithm,
    pooling::{GemPool, average, maximum},
    standardization::Standardization,
};
use crate::model::config::{Descriptor, Pooling};

/// Added to the squared length of an embedding before the root, so that a zero embedding stays zero
/// with a finite gradient. It shortens an embedding of length 1e-3 by 5e-7 of its length.
const LENGTH_FLOOR: f64 = 1e-12;

/// Maps images, or features of another model, to embeddings.
#[derive(Module, Debug)]
pub struct Embedder<B: Backend> {
    /// The convolutional network; nothing for features.
    pub backbone: BackboneNetwork<B>,
    /// The standardisation of features.
    pub standardization: Option<Standardization<B>>,
    /// GeM, if it is one of the descriptors.
    pub gem: Option<GemPool<B>>,
    /// The hidden layer of the head.
    pub hidden: Option<HiddenLayer<B>>,
    /// The dense layers from pooled features, or from hidden units, to embeddings, weights `[features, D]`. The i-th of n
    /// descriptors has the i-th of n equal blocks of columns.
    pub head: Linear<B>,
    /// The scale that images are converted to, from ImageNet's; `None` if it is ImageNet's.
    #[module(skip)]
    pub(super) scale: Option<ImageScale>,
    pub(super) normalize: bool,
    pub(super) dropout: f64,
    #[module(skip)]
    pub(super) pooling: Pooling,
    #[module(skip)]
    pub(super) algorithm: ConvAlgorithm,
}

impl<B: Backend> Embedder<B> {
    /// Embeds images. If the backend tracks gradients, batch norms that are not frozen use the batch's
    /// statistics and update their running statistics. Otherwise they use the running statistics.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, S, S]`, normalised by mean and standard deviation, S at least the
    ///   backbone's [`minimum_image_size`](crate::model::config::Backbone::minimum_image_size); without a backbone, features `[N, F, 1, 1]`
    /// - output: `[N, D]`, of unit length if the configuration says so
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        self.embed(self.pooled_features(images))
    }

    /// The mean of the embeddings of the images and of their mirror images, scaled again to unit
    /// length if embeddings are. Shapes are those of [`forward`](Self::forward).
    pub fn forward_mirrored(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        const WIDTH: isize = 3;
        let mirrored = self.forward(images.clone().flip([WIDTH]));
        self.scaled((self.forward(images) + mirrored) / 2.0)
    }

    /// The backbone's features, pooled over positions, with the n descriptors concatenated:
    /// `[N, 3, S, S]` → `[N, n · features]`.
    pub fn pooled_features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        self.pool(self.backbone.forward(self.channels_last(images)))
    }

    /// Images in the backbone's layout and scale: `[N, 3, S, S]` → `[N, S, S, 3]`. Features, standardised:
    /// `[N, F, 1, 1]` → `[N, 1, 1, F]`.
    pub(super) fn channels_last(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        if self.backbone.is_none() {
            let [n, features, _, _] = images.dims();
            let features = images.reshape([n, features]);
            let features = match &self.standardization {
                Some(standardization) => standardization.forward(features),
                None => features,
            };
            return features.unsqueeze_dims(&[1, 2]);
        }
        let images = images.permute([0, 2, 3, 1]);
        match self.scale {
            Some(scale) => scale.rescale(images),
            None => images,
        }
    }

    /// The factor and the offset for red, green and blue by which it rescales normalised images for its
    /// pretrained weights; `None` if it does not rescale them.
    pub fn input_scaling(&self) -> Option<[[f32; 3]; 2]> {
        self.scale.map(ImageScale::factor_and_offset)
    }

    /// The concatenated descriptors of feature maps: `[N, h, w, features]` → `[N, n · features]`.
    pub(super) fn pool(&self, maps: Tensor<B, 4>) -> Tensor<B, 2> {
        let [n, h, w, c] = maps.dims();
        if self.backbone.is_none() {
            return maps.reshape([n, c]);
        }
        let maps = maps.reshape([n, h * w, c]);
        let describe = |descriptor: &Descriptor| match descriptor {
            Descriptor::Average => average(maps.clone(), self.algorithm),
            Descriptor::Max => maximum(maps.clone()),
            Descriptor::Gem => {
                let gem = self.gem.as_ref().expect("created if it is a descriptor");
                gem.forward(maps.clone(), self.algorithm)
            }
        };
        match self.pooling.0.as_slice() {
            [one] => describe(one),
            several => Tensor::cat(several.iter().map(describe).collect(), 1),
        }
    }

    /// The embeddings of pooled features: `[N, n · features]` → `[N, D]`.
    pub(super) fn embed(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        self.project(self.hidden_units(features))
    }

    /// The inputs of the dense layer: the units of the hidden layer, or without one the pooled features.
    pub(super) fn hidden_units(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.hidden {
            Some(hidden) => hidden.forward(features),
            None => features,
        }
    }

    /// The embeddings of the inputs of the dense layer: `[N, n · features]` → `[N, D]`.
    ///
    /// Without normalisation, the parts of several descriptors are only concatenated: with parts of unit
    /// length all embeddings would be on a sphere again.
    pub(super) fn project(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let descriptors = self.pooling.0.len();
        let embeddings = match descriptors {
            1 => dense(features, self.head.weight.val(), self.head_bias()),
            _ => {
                let features = features.chunk(descriptors, 1).into_iter();
                let weights = self.head.weight.val().chunk(descriptors, 1).into_iter();
                let biases = self.head_bias().chunk(descriptors, 0).into_iter();
                let part = |((x, weight), bias)| self.scaled(dense(x, weight, bias));
                let parts = features.zip(weights).zip(biases).map(part);
                Tensor::cat(parts.collect(), 1)
            }
        };
        self.scaled(embeddings)
    }

    fn head_bias(&self) -> Tensor<B, 1> {
        let bias = self.head.bias.as_ref().expect("the head has a bias");
        bias.val()
    }

    /// `embeddings` `[N, D]`, or parts of them, scaled to unit length if the configuration says so.
    pub(super) fn scaled(&self, embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
        match self.normalize {
            true => unit_length(embeddings),
            false => embeddings,
        }
    }

    /// Whether it maps features of another model instead of images.
    pub fn takes_features(&self) -> bool {
        self.backbone.is_none()
    }

    /// How layers are computed.
    pub(super) fn algorithm(&self) -> ConvAlgorithm {
        self.algorithm
    }

    /// Share of the inputs of the dense layer that dropout sets to 0.
    pub(super) fn dropout(&self) -> f64 {
        self.dropout
    }
}

/// Scales each row of `embeddings`, `[N, D]`, to length 1; a row of zeros stays zero.
pub fn unit_length<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let squared = embeddings.clone() * embeddings.clone();
    embeddings / (squared.sum_dim(1) + LENGTH_FLOOR).sqrt()
}

#[cfg(test)]
pub(super) mod tests {
    use burn::backend::Autodiff;
    use burn::tensor::Distribution;

    use super::*;
    use crate::model::EmbedderConfig;
    use crate::model::config::{Backbone, ModelConfig};

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;

    pub(in crate::model) fn config(backbone: Backbone) -> EmbedderConfig {
        EmbedderConfig::from(&ModelConfig {
            backbone,
            ..ModelConfig::default()
        })
    }

    pub(in crate::model) fn values<Back: Backend, const D: usize>(
        tensor: Tensor<Back, D>,
    ) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    pub(in crate::model) fn images<Back: Backend>(n: usize, side: usize) -> Tensor<Back, 4> {
        Tensor::random(
            [n, 3, side, side],
            Distribution::Default,
            &Default::default(),
        )
    }

    #[test]
    fn embeddings_have_the_configured_length_at_the_minimum_image_size() {
        for backbone in Backbone::ALL {
            let embedder = config(backbone).init::<B>(&Default::default());
            let side = backbone.minimum_image_size();
            let embeddings = embedder.forward(images(2, side));
            assert_eq!(embeddings.dims(), [2, 64]);
            for row in values(embeddings).chunks(64) {
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                assert!((length - 1.0).abs() < 1e-5, "{backbone:?}: {length}");
            }
            let features = embedder.pooled_features(images(2, side + 5));
            assert_eq!(features.dims(), [2, backbone.features().unwrap()]);
        }
    }

    #[test]
    fn image_of_the_minimum_size_has_one_position() {
        let network = crate::model::GoogLeNet::<B>::new(ConvAlgorithm::Im2col, &Default::default());
        let side = Backbone::GoogLeNet.minimum_image_size();
        let image = Tensor::ones([1, side, side, 3], &Default::default());
        assert_eq!(network.forward(image).dims(), [1, 1, 1, 1024]);
    }

    #[test]
    fn zero_embedding_stays_zero_and_has_a_finite_gradient() {
        let zero = Tensor::<AB, 2>::zeros([1, 4], &Default::default()).require_grad();
        let unit = unit_length(zero.clone());
        assert!(values(unit.clone()).iter().all(|&x| x == 0.0));
        let gradient = zero.grad(&unit.sum().backward()).unwrap();
        assert!(values(gradient).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn only_networks_with_weights_for_another_scale_rescale_images() {
        let scale = |backbone, weights: Option<&str>| {
            let weights = weights.map(Into::into);
            let config = EmbedderConfig {
                weights,
                ..config(backbone)
            };
            config.init::<B>(&Default::default()).scale
        };
        for backbone in Backbone::ALL {
            assert_eq!(scale(backbone, None), None);
            let expected = backbone.published_scale();
            assert_eq!(scale(backbone, Some("weights.pth")), expected, "{backbone}");
        }
    }
}
