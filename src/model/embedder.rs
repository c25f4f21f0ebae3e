//! The embedder: backbone, global average pooling, dense head, normalisation.

use std::path::{Path, PathBuf};

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::{Initializer, Linear},
    tensor::{Tensor, TensorData, backend::Backend},
};

use super::{
    Conv4, EfficientNetLite0, GoogLeNet, ResNet50,
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

/// A mean and a standard deviation, the same for red, green and blue, on the scale 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PublishedScale {
    mean: f32,
    deviation: f32,
}

impl PublishedScale {
    /// torchvision's GoogLeNet re-scales images normalised by ImageNet's statistics to (x − ½) / ½
    /// (its `transform_input`), as its weights come from TensorFlow.
    const TORCHVISION_GOOGLENET: Self = Self {
        mean: 0.5,
        deviation: 0.5,
    };

    /// EfficientNet-Lite's authors trained on (255 x − 127) / 128 (`MEAN_RGB` and `STDDEV_RGB` of
    /// their `efficientnet_lite_builder.py`). The PyTorch package's description repeats ImageNet's
    /// statistics, which are those of EfficientNet-B0 to B7.
    const EFFICIENTNET_LITE: Self = Self {
        mean: 127.0 / 255.0,
        deviation: 128.0 / 255.0,
    };

    /// Images `[N, H, W, 3]` normalised by ImageNet's mean and deviation, re-scaled to these.
    fn rescaled<B: Backend>(self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let device = images.device();
        let row = |values: [f32; 3]| {
            Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), [1, 1, 1, 3]), &device)
        };
        let factor = row(IMAGENET.map(|(_, deviation)| deviation / self.deviation));
        let offset = row(IMAGENET.map(|(mean, _)| (mean - self.mean) / self.deviation));
        images * factor + offset
    }
}

impl Backbone {
    /// Channels of the backbone's feature maps, which is the length of a pooled feature.
    pub fn features(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::FEATURES,
            Self::GoogLeNet => super::googlenet::FEATURES,
            Self::ResNet50 => super::resnet50::FEATURES,
            Self::EfficientNetLite0 => super::efficientnet_lite0::FEATURES,
        }
    }

    /// Smallest side of an image that the backbone takes, in pixels.
    pub fn minimum_image_size(self) -> usize {
        match self {
            Self::Conv4 => super::conv4::MINIMUM_IMAGE_SIZE,
            Self::GoogLeNet => super::googlenet::MINIMUM_IMAGE_SIZE,
            Self::ResNet50 => super::resnet50::MINIMUM_IMAGE_SIZE,
            Self::EfficientNetLite0 => super::efficientnet_lite0::MINIMUM_IMAGE_SIZE,
        }
    }

    /// Whether weights trained on ImageNet are published for it.
    pub fn is_published(self) -> bool {
        self != Self::Conv4
    }

    /// The scale of the images its published weights were trained on, where it is not ImageNet's.
    fn published_scale(self) -> Option<PublishedScale> {
        match self {
            Self::Conv4 | Self::ResNet50 => None,
            Self::GoogLeNet => Some(PublishedScale::TORCHVISION_GOOGLENET),
            Self::EfficientNetLite0 => Some(PublishedScale::EFFICIENTNET_LITE),
        }
    }
}

/// What an [`Embedder`] is made from: `[model]` of a run's configuration, and how convolutions are
/// computed on the backend at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedderConfig {
    /// The network under the head.
    pub backbone: Backbone,
    /// Pretrained weights of the backbone. **Set, it also says that the images of GoogLeNet and
    /// EfficientNet-Lite0 are re-scaled as their ImageNet weights expect**, even where a checkpoint
    /// replaces the weights.
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
        let embedder = Embedder {
            backbone: BackboneNetwork::new(self.backbone, self.path, device),
            head: head(self.backbone.features(), self.embedding_dim, device),
            scale: self.weights.as_ref().and(self.backbone.published_scale()),
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
        Ok(Embedder {
            backbone: embedder.backbone.with_weights(path)?,
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
    /// ResNet-50.
    ResNet50(ResNet50<B>),
    /// EfficientNet-Lite0.
    EfficientNetLite0(EfficientNetLite0<B>),
}

impl<B: Backend> BackboneNetwork<B> {
    /// The network with random weights.
    pub fn new(backbone: Backbone, path: ComputePath, device: &B::Device) -> Self {
        match backbone {
            Backbone::Conv4 => Self::Conv4(Conv4::new(path, device)),
            Backbone::GoogLeNet => Self::GoogLeNet(GoogLeNet::new(path, device)),
            Backbone::ResNet50 => Self::ResNet50(ResNet50::new(path, device)),
            Backbone::EfficientNetLite0 => {
                Self::EfficientNetLite0(EfficientNetLite0::new(path, device))
            }
        }
    }

    /// The network with the weights of a file.
    ///
    /// # Errors
    /// Those of [`load_weights`].
    pub fn with_weights(self, path: &Path) -> Result<Self, WeightsError> {
        Ok(match self {
            Self::Conv4(network) => Self::Conv4(load_weights(network, path)?),
            Self::GoogLeNet(network) => Self::GoogLeNet(load_weights(network, path)?),
            Self::ResNet50(network) => Self::ResNet50(load_weights(network, path)?),
            Self::EfficientNetLite0(network) => {
                Self::EfficientNetLite0(load_weights(network, path)?)
            }
        })
    }

    /// The feature maps of images.
    ///
    /// # Shapes
    /// - `images`: `[N, H, W, 3]`
    /// - output: `[N, h, w, features]`
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Conv4(network) => network.forward(images),
            Self::GoogLeNet(network) => network.forward(images),
            Self::ResNet50(network) => network.forward(images),
            Self::EfficientNetLite0(network) => network.forward(images),
        }
    }
}

/// Maps images to embeddings.
#[derive(Module, Debug)]
pub struct Embedder<B: Backend> {
    /// The convolutional network.
    pub backbone: BackboneNetwork<B>,
    /// The dense layer from pooled features to embeddings.
    pub head: Linear<B>,
    /// The scale to bring images to, from ImageNet's.
    #[module(skip)]
    scale: Option<PublishedScale>,
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

    /// The backbone's features, averaged over positions: `[N, 3, S, S]` → `[N, features]`.
    pub fn pooled_features(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let images = images.permute([0, 2, 3, 1]);
        let images = match self.scale {
            Some(scale) => scale.rescaled(images),
            None => images,
        };
        let maps = self.backbone.forward(images);
        let [n, h, w, c] = maps.dims();
        maps.reshape([n, h * w, c]).mean_dim(1).squeeze_dim(1)
    }
}

/// Scales each row of `embeddings`, `[N, D]`, to length 1; a row of zeros stays zero.
pub fn unit_length<B: Backend>(embeddings: Tensor<B, 2>) -> Tensor<B, 2> {
    let squared = embeddings.clone() * embeddings.clone();
    embeddings / (squared.sum_dim(1) + LENGTH_FLOOR).sqrt()
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
            assert_eq!(features.dims(), [2, backbone.features()]);
        }
    }

    #[test]
    fn smallest_image_leaves_one_position() {
        for backbone in Backbone::ALL {
            let device = Default::default();
            let network = BackboneNetwork::<B>::new(backbone, ComputePath::Rows, &device);
            let side = backbone.minimum_image_size();
            let maps = network.forward(Tensor::ones([1, side, side, 3], &device));
            assert_eq!(maps.dims(), [1, 1, 1, backbone.features()], "{backbone}");
        }
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
    fn images_are_rescaled_as_pretrained_weights_expect() {
        // Black and white, normalised by ImageNet's statistics, become these.
        for (backbone, expected) in [
            (Backbone::GoogLeNet, [-1.0, 1.0]),
            (Backbone::EfficientNetLite0, [-127.0 / 128.0, 1.0]),
        ] {
            for (level, expected) in [0.0, 1.0].into_iter().zip(expected) {
                let normalised: Vec<f32> = IMAGENET.iter().map(|(m, s)| (level - m) / s).collect();
                let image = TensorData::new(normalised, [1, 1, 1, 3]);
                let image = Tensor::<B, 4>::from_data(image, &Default::default());
                let scale = backbone.published_scale().unwrap();
                for value in values(scale.rescaled(image)) {
                    assert!((value - expected).abs() < 1e-6, "{backbone}: {value}");
                }
            }
        }
    }

    #[test]
    fn only_networks_with_weights_of_another_scale_rescale_images() {
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
        for (backbone, side) in [
            (Backbone::Conv4, 32),
            (Backbone::GoogLeNet, 64),
            (Backbone::ResNet50, 32),
            (Backbone::EfficientNetLite0, 32),
        ] {
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
