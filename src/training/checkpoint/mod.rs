//! Checkpoints: how they are written, and which are kept.

mod recorder;
mod retention;

pub use recorder::CheckpointRecorder;
pub use retention::CheckpointRetention;
