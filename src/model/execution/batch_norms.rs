//! The batch norms of a network.

use burn::tensor::backend::Backend;

use super::executor::Executor;
use crate::model::layers::{Activation, BatchNorm, ConvAlgorithm, ConvolutionBlock, MaxPool};

/// Collects the batch norms of a network, in the order of their execution, without computing anything.
pub struct BatchNorms<'m, B: Backend>(pub Vec<&'m BatchNorm<B>>);

impl<'m, B: Backend> Executor<'m, B> for BatchNorms<'m, B> {
    type Map = ();

    fn block(&mut self, block: &'m ConvolutionBlock<B>, (): ()) {
        self.0.push(&block.bn);
    }

    fn max_pool(&mut self, _: MaxPool, _: ConvAlgorithm, (): ()) {}

    fn concat_channels(&mut self, _: Vec<()>) {}

    fn sum(&mut self, (): (), (): (), _: Activation) {}
}
