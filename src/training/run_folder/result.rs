//! The result of a finished run, `result.json`.

use serde::{Deserialize, Serialize};

use crate::config::Protocol;
use crate::evaluation::Recall;

/// The result of a finished run, `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Why the training ended.
    pub reason: EndReason,
    /// The last trained epoch.
    pub epochs: usize,
    /// The split that chose the best epoch.
    pub protocol: Protocol,
    /// The epoch with the highest Recall@1 on that split; the first of several.
    pub best_epoch: usize,
    /// The recall of the best epoch on the validation classes; `None` with the published protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Recall>,
    /// The recall of the best epoch on the test split.
    pub test: Recall,
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// All epochs were trained.
    Epochs,
    /// Recall@1 did not rise for `training.early_stopping` epochs.
    EarlyStopping,
}
