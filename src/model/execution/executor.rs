//! The operations that a network is written with.

use burn::tensor::backend::Backend;

use crate::model::layers::{Activation, ConvAlgorithm, ConvolutionBlock, MaxPool};

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
