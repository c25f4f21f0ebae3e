//! Reproducible numbers: embeddings in classes, and arrays.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Reproducible draws.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Draws from the standard normal distribution.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.random::<f64>()).cos()
    }

    /// Returns independent draws from the standard normal distribution, as f32.
    pub(crate) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal() as f32).collect()
    }
}

/// A batch of embeddings, row by row. The rows of a class are adjacent.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<f32>,
    pub(crate) labels: Vec<i64>,
    pub(crate) dim: usize,
    /// Whether the embeddings are compared by distances.
    pub(crate) distances: bool,
}

/// Draws P classes of K embeddings. Embeddings scatter around the centre of their class, `spread` times
/// as far as the centres scatter around 0.
pub(crate) fn batch(classes: usize, images: usize, dim: usize, spread: f64, seed: u64) -> Batch {
    let mut draws = Draws::new(seed);
    let mut batch = Batch {
        rows: Vec::new(),
        labels: Vec::new(),
        dim,
        distances: true,
    };
    for class in 0..classes {
        let centre: Vec<f64> = (0..dim).map(|_| draws.normal()).collect();
        for _ in 0..images {
            let row = centre.iter().map(|c| (c + spread * draws.normal()) as f32);
            batch.rows.extend(row);
            batch.labels.push(3 * class as i64);
        }
    }
    batch
}
