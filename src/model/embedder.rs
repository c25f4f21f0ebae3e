//! The embedder: backbone, global average pooling, dense head, normalisation.

use std::path::PathBuf;

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::{Initializer, Linear},
    tensor::{Tensor, TensorData, backend::Backend},
};

use super::{
    Conv4, GoogLeNet,
    layers::ComputePath,
    weights::{WeightsError, load_weights},
};
use crate::config::{Backbone, ModelConfig};

/// Magnitude of the head's Xavier initialisation (the published code).
const HEAD_MAGNITUDE: f64 = 2.0;

/// Added to the squared length of an embedding before the root: a zero embedding stays zero and
/// its gradient is finite. It shortens an embedding of length 1e-3 by 5e-7 of its length.
const LENGTH_FLOOR: f64 = 1e-12;

/// ImageNet's mean and standard deviation of red, green and blue on the scale 0 to 1, by which
/// images are normalised before they come here.
const IMAGENET: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

impl Backbone {
    /// Channels of the backbone's feature maps, which is the length of a pooled feature.
    pub fn features(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::FEATURES,
            Self::GoogLeNet => super::googlenet::FEATURES,
        }
    }

    /// Smallest side of an image that the backbone takes, in pixels.
    pub fn minimum_image_size(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::MINIMUM_IMAGE_SIZE,
            Self::GoogLeNet => super::googlenet::MINIMUM_IMAGE_SIZE,
        }
    }
}

/// What an [`Embedder`] is made from: `[model]` of a run's configuration, and how convolutions are
/// computed on the backend at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedderConfig {
    /// The network under the head.
    pub backbone: Backbone,
    /// Pretrained weights of the backbone. **Set, it also says that GoogLeNet's images are
    /// re-scaled as its ImageNet weights expect**, even where a checkpoint replaces the weights.
    pub weights: Option<PathBuf>,
    /// Length D of an embedding, at least 1.
    pub embedding_dim: usize,
    /// Whether embeddings are scaled to unit length.
    pub normalize: bool,
    /// How convolutions are computed.
    pub path: ComputePath,
}

impl From<&ModelConfig> for EmbedderConfig {
    fn from(config: &ModelConfig) -> Self {
        Self {
            backbone: config.backbone,
            weights: config.weights.clone(),
            embedding_dim: config.embedding_dim,
            normalize: config.normalize,
            path: ComputePath::default(),
        }
    }
}

impl EmbedderConfig {
    /// The same with convolutions computed by `path`.
    pub fn with_path(self, path: ComputePath) -> Self {
        Self { path, ..self }
    }

    /// The embedder with random weights everywhere; reads no file. A checkpoint's record loaded
    /// into it restores the embedder that was saved.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Embedder<B> {
        let backbone = match self.backbone {
            Backbone::Conv4 => BackboneNetwork::Conv4(Conv4::new(self.path, device)),
            Backbone::GoogLeNet => BackboneNetwork::GoogLeNet(GoogLeNet::new(self.path, device)),
        };
        let embedder = Embedder {
            backbone,
            head: head(self.backbone.features(), self.embedding_dim, device),
            rescale: self.backbone == Backbone::GoogLeNet && self.weights.is_some(),
            normalize: self.normalize,
        };
        embedder.visit(&mut DrawNow);
        embedder
    }

    /// The embedder with pretrained weights in its backbone, where the configuration names any.
    ///
    /// # Errors
    /// Those of [`load_weights`].
    pub fn init_pretrained<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<Embedder<B>, WeightsError> {
        let embedder = self.init(device);
        let Some(path) = &self.weights else {
            return Ok(embedder);
        };
        let backbone = match embedder.backbone {
            BackboneNetwork::Conv4(network) => BackboneNetwork::Conv4(load_weights(network, path)?),
            BackboneNetwork::GoogLeNet(network) => {
                BackboneNetwork::GoogLeNet(load_weights(network, path)?)
            }
        };
        Ok(Embedder {
            backbone,
            ..embedder
        })
    }
}

/// The dense layer with the published initialisation: weights uniform within
/// ±√(magnitude / ((fan_in + fan_out) / 2)) (MXNet's `Xavier(uniform, avg, 2)`), bias 0.
fn head<B: Backend>(features: usize, embedding_dim: usize, device: &B::Device) -> Linear<B> {
    let average_fan = (features + embedding_dim) as f64 / 2.0;
    let bound = (HEAD_MAGNITUDE / average_fan).sqrt();
    let weight = Initializer::Uniform {
        min: -bound,
        max: bound,
    };
    let bias: Param<Tensor<B, 1>> = Initializer::Zeros.init([embedding_dim], device);
    Linear {
        weight: weight.init([features, embedding_dim], device),
        bias: Some(bias),
    }
}

/// Burn draws a random parameter at its first use. Drawn here, a network depends on nothing but
/// the seed set before it was made.
struct DrawNow;

impl<B: Backend> ModuleVisitor<B> for DrawNow {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        parameter.val();
    }
}

/// The backbone of an [`Embedder`].
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One value per process.
pub enum BackboneNetwork<B: Backend> {
    /// Four convolution blocks.
    Conv4(Conv4<B>),
    /// GoogLeNet.
    GoogLeNet(GoogLeNet<B>),
}

/// Maps images to embeddings.
#[derive(Module, Debug)]
pub struct Embedder<B: Backend> {
    /// The convolutional network.
    pub backbone: BackboneNetwork<B>,
    /// The dense layer from pooled features to embeddings.
    pub head: Linear<B>,
    rescale: bool,
    normalize: bool,
}

impl<B: Backend> Embedder<B> {
    /// Embeds images. Where the backend tracks gradients, batch norm uses the batch's statistics
    /// and updates its running ones; elsewhere it uses the running ones.
    ///
    /// # Shapes
    /// - `images`: `[N, 3, S, S]`, normalised by mean and standard deviation, S at least the
    ///   backbone's [`minimum_image_size`](Backbone::minimum_image_size)
    /// - output: `[N, D]`, of unit length if the configuration says so
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let embeddings = self.head.forward(self.pooled_features(images));
        match self.normalize {
            true => unit_length(embeddings),
            false => embeddings,
        }
    }

    /// The mean of the embeddings of the images and of their mirror images, scaled again to unit
    /// length if embeddings are. Shapes are those of [`forward`](Self::forward).
    pub fn forward_mirrored(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        const WIDTH: isize = 3;
        let mirrored = self.forward(images.clone().flip([WIDTH]));
        let mean = (self.forward(images) + mirrored) / 2.0;
        match self.normalize {
            true => unit_length(mean),
            false => mean,
        }
    }

    /// The factor and the offset of red, green and blue by which it re-scales normalised images, as
    /// its pretrained weights expect; none where it takes them as they are.
    pub fn input_scaling(&self) -> Option<[[f32; 3]; 2]> {
        self.rescale.then(rescaling)
    }

    /// The backbone's features, averaged over positions: `[N, 3, S, S]` → `[N, features]`.
    pub fn pooled_features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let images = images.permute([0, 2, 3, 1]);
        let images = match self.rescale {
            true => from_imagenet_scale(images),
            false => images,
        };
        let maps = match &self.backbone {
            BackboneNetwork::Conv4(network) => network.forward(images),
            BackboneNetwork::GoogLeNet(network) => network.forward(images),
        };
        let [n, h, w, c] = maps.dims();
        maps.reshape([n, h * w, c]).mean_dim(1).squeeze_dim(1)
    }
}

/// Scales each row of `embeddings`, `[N, D]`, to length 1; a row of zeros stays zero.
pub fn unit_length<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let squared = embeddings.clone() * embeddings.clone();
    embeddings / (squared.sum_dim(1) + LENGTH_FLOOR).sqrt()
}

/// Images `[N, H, W, 3]` normalised by ImageNet's mean and deviation, re-scaled to (x − ½) / ½:
/// what torchvision's GoogLeNet weights were trained on (its `transform_input`).
fn from_imagenet_scale<B: Backend>(images: Tensor<B, 4>) -> Tensor<B, 4> {
    let device = images.device();
    let row = |values: [f32; 3]| {
        Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), [1, 1, 1, 3]), &device)
    };
    let [factor, offset] = rescaling().map(row);
    images * factor + offset
}

/// Factor and offset from ImageNet's mean and deviation to (x − ½) / ½, by channel.
fn rescaling() -> [[f32; 3]; 2] {
    [
        IMAGENET.map(|(_, deviation)| deviation / 0.5),
        IMAGENET.map(|(mean, _)| (mean - 0.5) / 0.5),
    ]
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn::tensor::Distribution;

    use super::*;

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;

    fn config(backbone: Backbone) -> EmbedderConfig {
        EmbedderConfig::from(&ModelConfig {
            backbone,
            ..ModelConfig::default()
        })
    }

    fn values<Back: Backend, const D: usize>(tensor: Tensor<Back, D>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    fn images<Back: Backend>(n: usize, side: usize) -> Tensor<Back, 4> {
        Tensor::random(
            [n, 3, side, side],
            Distribution::Default,
            &Default::default(),
        )
    }

    #[test]
    fn embeddings_have_the_configured_length_at_the_minimum_image_size() {
        for backbone in [Backbone::Conv4, Backbone::GoogLeNet] {
            let embedder = config(backbone).init::<B>(&Default::default());
            let side = backbone.minimum_image_size();
            let embeddings = embedder.forward(images(2, side));
            assert_eq!(embeddings.dims(), [2, 64]);
            for row in values(embeddings).chunks(64) {
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                assert!((length - 1.0).abs() < 1e-5, "{backbone:?}: {length}");
            }
            let features = embedder.pooled_features(images(2, side + 5));
            assert_eq!(features.dims(), [2, backbone.features()]);
        }
    }

    #[test]
    fn smallest_side_of_an_image_leaves_one_position() {
        let network = GoogLeNet::<B>::new(ComputePath::Rows, &Default::default());
        let side = super::super::googlenet::MINIMUM_IMAGE_SIZE;
        let image = Tensor::ones([1, side, side, 3], &Default::default());
        assert_eq!(network.forward(image).dims(), [1, 1, 1, 1024]);
    }

    #[test]
    fn head_starts_within_the_published_bound_and_without_bias() {
        let head = head::<B>(1024, 512, &Default::default());
        let bound = (2.0_f32 / 768.0).sqrt();
        let weights = values(head.weight.val());
        let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "{largest}");
        assert!(values(head.bias.unwrap().val()).iter().all(|&b| b == 0.0));
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
    fn images_are_rescaled_to_plus_minus_one_for_pretrained_weights() {
        // Black and white, normalised by ImageNet's statistics, become −1 and +1.
        for (level, expected) in [(0.0, -1.0), (1.0, 1.0)] {
            let normalised: Vec<f32> = IMAGENET.iter().map(|(m, s)| (level - m) / s).collect();
            let image = TensorData::new(normalised, [1, 1, 1, 3]);
            let image = Tensor::<B, 4>::from_data(image, &Default::default());
            for value in values(from_imagenet_scale(image)) {
                assert!((value - expected).abs() < 1e-6, "{value}");
            }
        }
    }

    #[test]
    fn only_googlenet_with_weights_rescales_images() {
        let device = Default::default();
        let with = |backbone| EmbedderConfig {
            weights: Some("weights.pth".into()),
            ..config(backbone)
        };
        assert!(with(Backbone::GoogLeNet).init::<B>(&device).rescale);
        assert!(!with(Backbone::Conv4).init::<B>(&device).rescale);
        assert!(!config(Backbone::GoogLeNet).init::<B>(&device).rescale);
    }

    /// Numbers in [−1, 1] that no other test's draws can disturb.
    fn wave<const D: usize>(shape: [usize; D]) -> Tensor<AB, D> {
        let count = shape.iter().product::<usize>();
        let wave = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        Tensor::from_data(TensorData::new(wave, shape), &Default::default())
    }

    #[test]
    fn training_steps_repeat_bit_for_bit() {
        use burn::{
            module::AutodiffModule,
            optim::{AdamConfig, GradientsParams, Optimizer},
        };
        for (backbone, side) in [(Backbone::Conv4, 32), (Backbone::GoogLeNet, 64)] {
            let device = Default::default();
            // A clone would share its running statistics; a record does not.
            let start = config(backbone).init::<AB>(&device);
            let run = || {
                let mut embedder = config(backbone).init::<AB>(&device);
                embedder = embedder.load_record(start.clone().into_record());
                let mut optimizer = AdamConfig::new().init();
                for _ in 0..3 {
                    let embeddings = embedder.forward(wave([8, 3, side, side]));
                    let loss = (embeddings * wave([8, 64])).sum();
                    let gradients = GradientsParams::from_grads(loss.backward(), &embedder);
                    embedder = optimizer.step(1e-3, embedder, gradients);
                }
                values(embedder.valid().forward(wave([2, 3, side, side]).inner()))
            };
            assert_eq!(run(), run(), "{backbone:?}");
        }
    }
}
