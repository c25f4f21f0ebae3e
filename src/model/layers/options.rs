//! What every layer of a network is made with.

use super::ConvAlgorithm;

/// What is the same for every layer of a network and is no part of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerOptions {
    /// How convolutions and pools are computed.
    pub algorithm: ConvAlgorithm,
    /// Whether batch norms keep to their running statistics in training, too.
    pub freeze_batch_norm: bool,
}

impl From<ConvAlgorithm> for LayerOptions {
    /// Layers computed by `algorithm`, with batch norms that train.
    fn from(algorithm: ConvAlgorithm) -> Self {
        Self {
            algorithm,
            ..Self::default()
        }
    }
}
