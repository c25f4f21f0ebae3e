//! The checks before a training: what it needs is there, fits together and can be written.
//!
//! Every training makes them, from the cheapest to the most expensive, and stops at the first that fails.
//! A [dry run](super::dry_run()) makes all that can be made, and measures training steps for its estimate.

mod check;
mod data;
mod disk;
mod network;
mod objective;
mod precision;
mod recall;
mod step;

pub(super) use check::Checks;
pub use check::{Check, CheckOutcome};
pub(super) use data::{check_batches, check_data};
pub(super) use disk::{DiskNeed, check_disk};
pub(super) use network::{check_configuration, check_weights, checkpoint_bytes};
pub(super) use objective::check_objective;
pub(super) use precision::check_precision;
pub(super) use recall::{LargeK, check_recall};
pub(super) use step::{MeasuredSteps, measure_steps};

/// The names of the checks.
pub(super) mod names {
    pub(in crate::training) const CONFIGURATION: &str = "configuration";
    pub(in crate::training) const PRECISION: &str = "precision";
    pub(in crate::training) const RUN_FOLDER: &str = "run folder";
    pub(in crate::training) const CHECKPOINT: &str = "checkpoint";
    pub(in crate::training) const WEIGHTS: &str = "weights";
    pub(in crate::training) const DATA: &str = "data";
    pub(in crate::training) const RECALL: &str = "recall";
    pub(in crate::training) const BATCH: &str = "batch";
    pub(in crate::training) const LOSS: &str = "loss";
    pub(in crate::training) const DISK: &str = "disk";
    pub(in crate::training) const STEP: &str = "step";
}
