//! Checkpoints: what they contain, and when they are written.

mod file;
pub(super) mod legacy;
mod position;
mod schedule;
mod state;

pub use file::{CheckpointFile, CheckpointHeader, StoredTensor};
pub use position::CheckpointPosition;
pub(super) use schedule::CheckpointSchedule;
