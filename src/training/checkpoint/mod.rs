//! Checkpoints: how they are written, and which are kept.

mod recorder;
mod retention;

pub use recorder::CheckpointRecorder;
pub(super) use recorder::read_record;
pub use retention::CheckpointRetention;
