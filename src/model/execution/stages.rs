//! A network as a function of an executor.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    eager::EagerExecutor,
    executor::Executor,
    shards::{concat, par_map, shard},
};
use crate::model::layers::ConvAlgorithm;

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
