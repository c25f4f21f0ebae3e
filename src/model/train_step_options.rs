//! The options of a training step.

use rand_chacha::ChaCha8Rng;

use super::Precision;
use super::execution::WholeBatch;

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
    /// The rows of the batch in other processes.
    pub other_rows: OtherRows,
    /// The batch that processes share, if batch norms are synchronised.
    pub whole_batch: Option<WholeBatch>,
}

/// The rows of a batch that other processes embed. Their draws of dropout are skipped, so that each row has the mask
/// that it has in one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherRows {
    /// Rows before those of this process.
    pub before: usize,
    /// Rows after them.
    pub after: usize,
}
