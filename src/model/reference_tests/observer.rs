//! An executor that shows the named maps of a network.

use burn::tensor::Tensor;

use super::B;
use crate::model::{
    ConvAlgorithm,
    execution::{EagerExecutor, Executor},
    layers::{Activation, ConvolutionBlock, MaxPool},
};

/// Calls the function with each map that has a name in the original.
pub(super) struct Observer<'f>(pub(super) &'f mut dyn FnMut(&str, &Tensor<B, 4>));

impl<'m> Executor<'m, B> for Observer<'_> {
    type Map = Tensor<B, 4>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
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

    fn concat_channels(&mut self, maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
        Executor::<B>::concat_channels(&mut EagerExecutor::default(), maps)
    }

    fn sum(&mut self, a: Tensor<B, 4>, b: Tensor<B, 4>, activation: Activation) -> Tensor<B, 4> {
        activation.forward(a + b)
    }

    fn named(&mut self, name: impl FnOnce() -> String, map: Tensor<B, 4>) -> Tensor<B, 4> {
        (self.0)(&name(), &map);
        map
    }
}
