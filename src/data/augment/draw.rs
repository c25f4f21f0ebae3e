//! Random events and numbers, each from a fixed number of random values.

use rand::{Rng, RngExt};

/// Draws whether an event of this probability occurs. Probability 0 draws no random value.
pub(super) fn bernoulli(probability: f64, rng: &mut impl Rng) -> bool {
    probability > 0.0 && rng.random_bool(probability)
}

/// Draws a number uniform in the range, from one random value.
pub(super) fn uniform([low, high]: [f64; 2], rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}
