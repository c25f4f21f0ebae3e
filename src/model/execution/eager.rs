//! Layers one after the other on tensors, as in Burn's modules.

use burn::tensor::{Tensor, backend::Backend};

use super::executor::Executor;
use crate::model::layers::{Activation, ConvAlgorithm, ConvolutionBlock, MaxPool, concat_channels};

/// Executes layers on plain tensors. If the backend tracks gradients, autodiff records every operation
/// and batch norms use the batch's statistics.
#[derive(Debug, Clone, Copy, Default)]
pub struct EagerExecutor {
    /// Whether this is a second forward pass of the same batch, which must not update the running
    /// statistics again.
    recomputing: bool,
}

impl EagerExecutor {
    /// An executor for layers whose running statistics already include the batch.
    pub(super) fn recomputing() -> Self {
        Self { recomputing: true }
    }
}

impl<'m, B: Backend> Executor<'m, B> for EagerExecutor {
    type Map = Tensor<B, 4>;

    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Tensor<B, 4>) -> Tensor<B, 4> {
        match self.recomputing {
            true => block.recompute(x),
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

    fn concat_channels(&mut self, maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
        concat_channels(maps)
    }

    fn sum(&mut self, a: Tensor<B, 4>, b: Tensor<B, 4>, activation: Activation) -> Tensor<B, 4> {
        activation.forward(a + b)
    }
}
