//! What every layer of a network is made with.

use super::ComputePath;

/// What is the same for every layer of a network and is no part of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerOptions {
    /// How convolutions and pools are computed.
    pub path: ComputePath,
    /// Whether batch norms keep to their running statistics in training, too.
    pub freeze_batch_norm: bool,
}

impl From<ComputePath> for LayerOptions {
    /// Layers computed by `path`, with batch norms that train.
    fn from(path: ComputePath) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }
}
