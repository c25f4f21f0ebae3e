//! The scale that published weights expect images on.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::model::config::Backbone;

/// ImageNet's mean and standard deviation of red, green and blue on the scale 0 to 1. The embedder's
/// images are normalised with them.
const IMAGENET: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// A mean and a standard deviation, the same for red, green and blue, on the scale 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ImageScale {
    mean: f32,
    deviation: f32,
}

impl ImageScale {
    /// torchvision's GoogLeNet rescales images normalised by ImageNet's statistics to (x − ½) / ½ (its
    /// `transform_input`), because its weights are TensorFlow's.
    const TORCHVISION_GOOGLENET: Self = Self {
        mean: 0.5,
        deviation: 0.5,
    };

    /// EfficientNet-Lite's authors trained on (255 x − 127) / 128 (`MEAN_RGB` and `STDDEV_RGB` of their
    /// `efficientnet_lite_builder.py`). The PyTorch package's description has ImageNet's statistics,
    /// which are for EfficientNet-B0 to B7.
    const EFFICIENTNET_LITE: Self = Self {
        mean: 127.0 / 255.0,
        deviation: 128.0 / 255.0,
    };

    /// The factor and the offset, for red, green and blue, that rescale images normalised by ImageNet's
    /// mean and deviation: y = factor · x + offset.
    pub(super) fn factor_and_offset(self) -> [[f32; 3]; 2] {
        [
            IMAGENET.map(|(_, deviation)| deviation / self.deviation),
            IMAGENET.map(|(mean, _)| (mean - self.mean) / self.deviation),
        ]
    }

    /// Rescales images `[N, H, W, 3]` normalised by ImageNet's mean and deviation.
    pub(super) fn rescale<B: Backend>(self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let device = images.device();
        let row = |values: [f32; 3]| {
            Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), [1, 1, 1, 3]), &device)
        };
        let [factor, offset] = self.factor_and_offset().map(row);
        images * factor + offset
    }
}

impl Backbone {
    /// The scale of the images that its published weights were trained on; `None` if it is ImageNet's.
    pub(super) fn published_scale(self) -> Option<ImageScale> {
        match self {
            Self::Conv4 | Self::ResNet50 | Self::None => None,
            Self::GoogLeNet => Some(ImageScale::TORCHVISION_GOOGLENET),
            Self::EfficientNetLite0 => Some(ImageScale::EFFICIENTNET_LITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn images_are_rescaled_as_pretrained_weights_expect() {
        // The expected values of black and white.
        for (backbone, expected) in [
            (Backbone::GoogLeNet, [-1.0, 1.0]),
            (Backbone::EfficientNetLite0, [-127.0 / 128.0, 1.0]),
        ] {
            for (level, expected) in [0.0, 1.0].into_iter().zip(expected) {
                let normalised: Vec<f32> = IMAGENET.iter().map(|(m, s)| (level - m) / s).collect();
                let image = TensorData::new(normalised, [1, 1, 1, 3]);
                let image = Tensor::<B, 4>::from_data(image, &Default::default());
                let scale = backbone.published_scale().unwrap();
                for value in scale.rescale(image).into_data().iter::<f32>() {
                    assert!((value - expected).abs() < 1e-6, "{backbone}: {value}");
                }
            }
        }
    }
}
