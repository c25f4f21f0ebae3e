//! Embeddings to time evaluations with.

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::unit_length;

/// The standard deviation of an embedding around the centre of its class, relative to that of the centres.
const SPREAD: f32 = 1.9;

/// Embeddings that are drawn around the centres of their classes.
#[derive(Debug, Clone, Copy)]
pub struct DrawnEmbeddings {
    /// Number of embeddings, at least `classes`.
    pub count: usize,
    /// Dimension of an embedding.
    pub dim: usize,
    /// Number of classes. Each has one embedding, and the others are of random classes.
    pub classes: usize,
}

impl DrawnEmbeddings {
    /// Returns unit vectors `[count, dim]` on `device`, and their classes, sorted.
    pub(super) fn draw<B: Backend>(&self, device: &B::Device) -> (Tensor<B, 2>, Vec<usize>) {
        B::seed(device, 0);
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let others = (self.classes..self.count).map(|_| random.random_range(0..self.classes));
        let mut classes: Vec<usize> = (0..self.classes).chain(others).collect();
        classes.sort_unstable();
        let normal = |rows: usize| {
            Tensor::<B, 2>::random([rows, self.dim], Distribution::Normal(0.0, 1.0), device)
        };
        let of_row: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
        let centres = normal(self.classes).select(0, Tensor::from_ints(of_row.as_slice(), device));
        let embeddings = unit_length(centres + normal(self.count) * SPREAD);
        (embeddings, classes)
    }
}
