//! The ways a network's layers are carried out: one after the other on tensors ([`Direct`]), or
//! recorded, so that gradients follow from the layers' own adjoints ([`Recorder`]).
//!
//! A network says once which layer follows which, as a function of any [`Pass`].

mod direct;
mod recorded_block;
mod recorder;
mod recording;
mod shards;
#[cfg(test)]
mod tests;

use burn::tensor::{Tensor, backend::Backend};

use super::layers::{Activation, ConvAlgorithm, ConvolutionBlock, DepthwiseBlock, MaxPool};

pub use direct::Direct;
pub use recorder::Recorder;
pub use recording::Recording;
use shards::{cut, each, joined};

/// A way to carry out layers that live at least as long as `'m`.
pub trait Pass<'m, B: Backend> {
    /// A feature map `[N, H, W, C]` as this pass holds it.
    type Map: Clone;

    /// Convolution, batch norm, activation.
    fn block(&mut self, block: &'m ConvolutionBlock<B>, x: Self::Map) -> Self::Map;

    /// Depthwise convolution, batch norm, activation.
    fn depthwise(&mut self, block: &'m DepthwiseBlock<B>, x: Self::Map) -> Self::Map;

    /// Max pooling.
    fn max_pool(&mut self, pool: MaxPool, algorithm: ConvAlgorithm, x: Self::Map) -> Self::Map;

    /// Maps `[N, H, W, Cᵢ]` side by side along their channels.
    fn side_by_side(&mut self, maps: Vec<Self::Map>) -> Self::Map;

    /// The activation of the sum of two maps of one shape.
    fn sum(&mut self, a: Self::Map, b: Self::Map, activation: Activation) -> Self::Map;

    /// `map` as it is, which the original network has under `name`.
    fn named(&mut self, name: impl FnOnce() -> String, map: Self::Map) -> Self::Map {
        let _ = name;
        map
    }
}

/// A network as a chain of stages. Only the map between two stages leaves a stage, so that a training
/// that is short of memory can compute a stage anew when its gradients are due.
pub trait Stages<B: Backend> {
    /// The number of stages, at least 1.
    fn count(&self) -> usize;

    /// How convolutions and pools are computed.
    fn algorithm(&self) -> ConvAlgorithm;

    /// Carries out stage number `stage`, from 0, by `pass`.
    fn stage<'m, P: Pass<'m, B>>(&'m self, stage: usize, x: P::Map, pass: &mut P) -> P::Map;

    /// Carries out all stages on images `[N, S, S, 3]` as at evaluation, or, where the backend tracks
    /// gradients, as autodiff records it: `[N, h, w, features]`.
    fn carry_out(&self, images: Tensor<B, 4>) -> Tensor<B, 4>
    where
        Self: Sync,
    {
        match B::ad_enabled(&images.device()) {
            true => self.run(images, &mut Direct::default()),
            // Without gradients images do not depend on each other.
            false => {
                let parts = cut(images, self.algorithm());
                joined(each(parts, |images| {
                    self.run(images, &mut Direct::default())
                }))
            }
        }
    }

    /// Carries out all stages.
    fn run<'m, P: Pass<'m, B>>(&'m self, x: P::Map, pass: &mut P) -> P::Map {
        (0..self.count()).fold(x, |x, stage| self.stage(stage, x, pass))
    }
}
