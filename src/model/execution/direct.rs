//! Layers one after the other on tensors, as Burn's modules usually are.

use burn::tensor::{Tensor, backend::Backend};

use super::Pass;
use crate::model::layers::{
    Activation, ConvAlgorithm, ConvolutionBlock, DepthwiseBlock, MaxPool, side_by_side,
};

/// Carries out layers on plain tensors. Where the backend tracks gradients, autodiff records every
/// operation, and batch norms use the batch's statistics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct {
    /// Whether a layer was carried out before, so that running statistics already took the batch's.
    again: bool,
}

impl Direct {
    /// A pass that carries out layers anew.
    pub(super) fn recomputing() -> Self {
        Self { again: true }
    }
}

impl<'m, B: Backend> Pass<'m, B> for Direct {
    type Map = Tensor<B, 4>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.again {
            true => block.forward_again(x),
            false => block.forward(x),
        }
    }

    fn depthwise(&mut self, block: &'m DepthwiseBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.again {
            true => block.forward_again(x),
            false => block.forward(x),
        }
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
        side_by_side(maps)
    }

    fn sum(&mut self, a: Tensor<B, 4>, b: Tensor<B, 4>, activation: Activation) -> Tensor<B, 4> {
        activation.forward(a + b)
    }
}
