//! Options shared by all layers of a network.

use super::ConvAlgorithm;

/// Options shared by all layers of a network. They are not part of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerOptions {
    /// How convolutions and pools are computed.
    pub algorithm: ConvAlgorithm,
    /// Whether batch norms use their running statistics in training too.
    pub freeze_batch_norm: bool,
}

impl From<ConvAlgorithm> for LayerOptions {
    /// Layers computed by `algorithm`, whose batch norms use the batch's statistics in training.
    fn from(algorithm: ConvAlgorithm) -> Self {
        Self {
            algorithm,
            ..Self::default()
        }
    }
}
