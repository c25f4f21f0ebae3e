//! The arithmetic of an embedder.

use burn::nn::Linear;
use burn::tensor::backend::Backend;

use super::Embedder;
use super::execution::{MapShape, OperationCounter, Operations, Stages};

impl<B: Backend> Embedder<B> {
    /// Counts the operations of embedding `images` images of `side` × `side` pixels, and of their gradients.
    pub fn operations(&self, images: usize, side: usize) -> Operations {
        let mut counter = OperationCounter::default();
        let input = MapShape {
            dims: [1, side, side, 3],
            tracked: false,
        };
        self.backbone.run(input, &mut counter);
        // Each descriptor has its block of columns.
        let weights = |linear: &Linear<B>| linear.weight.dims().iter().product::<usize>();
        let hidden = self
            .hidden
            .as_ref()
            .map_or(0, |hidden| weights(&hidden.linear));
        let dense = 2 * (weights(&self.head) + hidden) as u64;
        let head = Operations {
            forward: dense,
            backward: 2 * dense,
        };
        (counter.operations + head) * images as u64
    }
}
