//! How a network's layers are executed: one after the other on tensors ([`EagerExecutor`]), or
//! recorded on a [`Tape`] whose backward pass uses hand-written adjoints of whole layers.
//!
//! A backbone is written once, as a function of any [`Executor`].

mod eager;
mod shards;
mod tape;
mod taped_block;
mod taped_forward;
#[cfg(test)]
mod tests;

use burn::tensor::{Tensor, backend::Backend};

use super::layers::{Activation, ConvAlgorithm, ConvolutionBlock, MaxPool};

pub use eager::EagerExecutor;
pub use tape::Tape;
pub use taped_forward::TapedForward;

use shards::{concat, par_map, shard};

/// Executes layers, which live at least as long as `'m`.
pub trait Executor<'m, B: Backend> {
    /// A feature map `[N, H, W, C]` in the executor's representation.
    type Map: Clone;

    /// Convolution, batch norm, activation.
    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Self::Map) -> Self::Map;

    /// Max pooling.
    fn max_pool(&mut self, pool: MaxPool, algorithm: ConvAlgorithm, x: Self::Map) -> Self::Map;

    /// Concatenates maps `[N, H, W, Cᵢ]` along their channels.
    fn concat_channels(&mut self, maps: Vec<Self::Map>) -> Self::Map;

    /// The activation of the sum of two maps of one shape.
    fn sum(&mut self, a: Self::Map, b: Self::Map, activation: Activation) -> Self::Map;

    /// Returns `map` unchanged. `name` is the name of the layer that produces it in the original
    /// network; tests compare the named maps with the original's.
    fn named(&mut self, name: impl FnOnce() -> String, map: Self::Map) -> Self::Map {
        let _ = name;
        map
    }
}

/// A network as a chain of stages. Only one map passes from a stage to the next, so that training with
/// gradient checkpointing can recompute a stage when its gradients are needed.
pub trait Stages<B: Backend> {
    /// The number of stages, at least 1.
    fn count(&self) -> usize;

    /// How convolutions and pools are computed.
    fn algorithm(&self) -> ConvAlgorithm;

    /// Executes stage number `stage`, counted from 0, with `executor`.
    fn stage<'m, E: Executor<'m, B>>(&'m self, stage: usize, x: E::Map, executor: &mut E)
    -> E::Map;

    /// The feature maps `[N, h, w, features]` of images `[N, S, S, 3]`, computed eagerly: with autodiff
    /// if the backend tracks gradients, otherwise as at evaluation.
    fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4>
    where
        Self: Sync,
    {
        match B::ad_enabled(&images.device()) {
            true => self.run(images, &mut EagerExecutor::default()),
            // At evaluation images do not depend on each other.
            false => {
                let shards = shard(images, self.algorithm());
                concat(par_map(shards, |images| {
                    self.run(images, &mut EagerExecutor::default())
                }))
            }
        }
    }

    /// Executes all stages with `executor`.
    fn run<'m, E: Executor<'m, B>>(&'m self, x: E::Map, executor: &mut E) -> E::Map {
        (0..self.count()).fold(x, |x, stage| self.stage(stage, x, executor))
    }
}
