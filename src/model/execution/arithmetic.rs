//! The arithmetic of a network, counted from the shapes of its layers.

use std::ops::{Add, Mul};

use burn::tensor::backend::Backend;

use super::executor::Executor;
use crate::model::layers::{Activation, ConvAlgorithm, ConvolutionBlock, MaxPool};

/// Floating-point operations of convolutions and dense layers: a product and a sum are two.
///
/// Batch norms, activations and pools are not counted; they are limited by memory. Nor is a part of the forward pass
/// that gradient checkpointing repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operations {
    /// Of the forward pass.
    pub forward: u64,
    /// Of the gradients of the weights and the inputs.
    pub backward: u64,
}

impl Add for Operations {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            forward: self.forward + other.forward,
            backward: self.backward + other.backward,
        }
    }
}

impl Mul<u64> for Operations {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            forward: self.forward * times,
            backward: self.backward * times,
        }
    }
}

/// Counts the operations of a network without computing anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationCounter {
    /// The operations so far.
    pub operations: Operations,
}

/// The shape of a feature map, `[N, H, W, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapShape {
    /// `[N, H, W, C]`.
    pub dims: [usize; 4],
    /// Whether it has a gradient: false for images.
    pub tracked: bool,
}

impl<'m, B: Backend> Executor<'m, B> for OperationCounter {
    type Map = MapShape;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: MapShape) -> MapShape {
        let weight = block.conv.weight.dims();
        let dims = block.conv.kernel().output_shape(x.dims, weight);
        // Each output is a sum of k² C_in products, or of k² if depthwise.
        let [height, width, channels, _] = weight;
        let outputs: usize = dims.iter().product();
        let forward = 2 * (outputs * height * width * channels) as u64;
        let gradients = 1 + u64::from(x.tracked);
        self.operations = self.operations
            + Operations {
                forward,
                backward: gradients * forward,
            };
        MapShape {
            dims,
            tracked: true,
        }
    }

    fn max_pool(&mut self, pool: MaxPool, _: ConvAlgorithm, x: MapShape) -> MapShape {
        MapShape {
            dims: pool.output_shape(x.dims),
            ..x
        }
    }

    fn concat_channels(&mut self, maps: Vec<MapShape>) -> MapShape {
        let channels = maps.iter().map(|map| map.dims[3]).sum();
        let [n, h, w, _] = maps[0].dims;
        MapShape {
            dims: [n, h, w, channels],
            ..maps[0]
        }
    }

    fn sum(&mut self, a: MapShape, _: MapShape, _: Activation) -> MapShape {
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Backbone;
    use crate::model::execution::Stages;
    use crate::model::{BackboneNetwork, LayerOptions};

    type B = burn_flex::Flex;

    fn counted(backbone: Backbone, side: usize) -> (Operations, [usize; 4]) {
        let device = Default::default();
        let network = BackboneNetwork::<B>::new(backbone, LayerOptions::default(), &device);
        let mut counter = OperationCounter::default();
        let images = MapShape {
            dims: [1, side, side, 3],
            tracked: false,
        };
        let maps = network.run(images, &mut counter);
        (counter.operations, maps.dims)
    }

    /// Counted by hand from the tables of the papers for an image of 224², without the last dense layer. With it
    /// (features × 1000), torchvision's documentation lists 1.50 and 4.09 · 10⁹ products for the first two.
    #[test]
    fn products_are_those_of_the_published_networks() {
        for (backbone, products) in [
            (Backbone::GoogLeNet, 1_497_352_192),
            (Backbone::ResNet50, 4_087_136_256),
            (Backbone::EfficientNetLite0, 383_907_552),
        ] {
            let (operations, dims) = counted(backbone, 224);
            assert_eq!(operations.forward, 2 * products, "{backbone}");
            assert_eq!(Some(dims[3]), backbone.features());
        }
    }

    #[test]
    fn shapes_are_those_of_the_feature_maps() {
        for backbone in [
            Backbone::Conv4,
            Backbone::GoogLeNet,
            Backbone::EfficientNetLite0,
        ] {
            let side = backbone.minimum_image_size() + 5;
            let device = Default::default();
            let network = BackboneNetwork::<B>::new(backbone, LayerOptions::default(), &device);
            let images = burn::tensor::Tensor::zeros([1, side, side, 3], &device);
            assert_eq!(counted(backbone, side).1, network.forward(images).dims());
        }
    }

    #[test]
    fn images_have_no_gradient() {
        // conv4 on 32²: 3×3 convolutions of these widths on 32², 16², 8² and 4² positions.
        let widths = [3, 16, 32, 64, 128];
        let forward = |i: usize| {
            let side = 32 >> i;
            2 * side * side * 9 * (widths[i] * widths[i + 1]) as u64
        };
        let all: u64 = (0..4).map(forward).sum();
        let expected = Operations {
            forward: all,
            backward: 2 * all - forward(0),
        };
        assert_eq!(counted(Backbone::Conv4, 32).0, expected);
    }
}
