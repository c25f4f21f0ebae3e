//! How a training diverges.

use thiserror::Error;

/// How a training diverged.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Divergence {
    /// A tensor has an infinite value or NaN.
    #[error("{what} is infinite or NaN")]
    NotFinite {
        /// The loss, the embeddings, a parameter by its name, or its state in the optimiser.
        what: String,
    },
    /// A parameter is finite, but so large that the network is of no use.
    #[error("the mean magnitude of {parameter} is {magnitude:.1e}")]
    Exploded {
        /// The name of the parameter.
        parameter: String,
        /// The mean of the absolute values.
        magnitude: f64,
    },
}
