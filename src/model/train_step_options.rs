//! The options of a training step.

use rand_chacha::ChaCha8Rng;

use super::Precision;

/// Options of a forward and backward pass in training.
#[derive(Debug, Clone)]
pub struct TrainStepOptions {
    /// The generator for dropout. It runs on the host, because the state of a backend's generator is
    /// not in checkpoints.
    pub draws: ChaCha8Rng,
    /// Whether the backbone runs as at evaluation and gets no gradient.
    pub freeze_backbone: bool,
    /// Gradient checkpointing: whether the backward pass recomputes each stage of the backbone.
    pub recompute: bool,
    /// The number format of the backbone. Pooling, head and loss are computed in f32.
    pub precision: Precision,
}
