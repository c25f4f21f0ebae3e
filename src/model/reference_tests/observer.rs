//! A pass that shows the maps of a network's stages.

use burn::tensor::Tensor;

use super::B;
use crate::model::{
    ConvAlgorithm,
    execution::{Direct, Pass},
    layers::{Activation, ConvolutionBlock, DepthwiseBlock, MaxPool},
};

/// Shows each map that the original has under a name.
pub(super) struct Observer<'f>(pub(super) &'f mut dyn FnMut(&str, &Tensor<B, 4>));

impl<'m> Pass<'m, B> for Observer<'_> {
    type Map = Tensor<B, 4>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
        block.forward(x)
    }

    fn depthwise(&mut self, block: &'m DepthwiseBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
        block.forward(x)
    }

    fn max_pool(
        &mut self,
        pool: MaxPool,
        algorithm: ConvAlgorithm,
        x: Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        pool.forward(x, algorithm)
    }

    fn side_by_side(&mut self, maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
        Pass::<B>::side_by_side(&mut Direct::default(), maps)
    }

    fn sum(&mut self, a: Tensor<B, 4>, b: Tensor<B, 4>, activation: Activation) -> Tensor<B, 4> {
        activation.forward(a + b)
    }

    fn named(&mut self, name: impl FnOnce() -> String, map: Tensor<B, 4>) -> Tensor<B, 4> {
        (self.0)(&name(), &map);
        map
    }
}
