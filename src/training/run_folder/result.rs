//! The result of a finished run, `result.json`.

use serde::{Deserialize, Serialize};

use crate::config::Protocol;
use crate::evaluation::Recall;
use crate::training::measured::Measured;

/// The result of a finished run, `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Why the training ended.
    pub reason: EndReason,
    /// The last trained epoch.
    pub epochs: usize,
    /// The split that chose the best epoch.
    pub protocol: Protocol,
    /// The epoch with the highest Recall@1 on that split, of equal ones that with the highest MAP@R; the first of
    /// several.
    pub best_epoch: usize,
    /// The recall of the best epoch on the validation classes; `None` with the published protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Recall>,
    /// Its MAP@R on the validation classes, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_map_at_r: Option<f64>,
    /// The recall of the best epoch on the test split.
    pub test: Recall,
    /// Its MAP@R on the test split, 0 to 1; `None` in runs of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_map_at_r: Option<f64>,
}

impl RunResult {
    /// The measures of the best epoch on the validation classes; `None` with the published protocol.
    pub fn validation_measured(&self) -> Option<Measured> {
        Some(Measured {
            recall: self.validation.clone()?,
            map_at_r: self.validation_map_at_r,
        })
    }

    /// The measures of the best epoch on the test split.
    pub fn test_measured(&self) -> Measured {
        Measured {
            recall: self.test.clone(),
            map_at_r: self.test_map_at_r,
        }
    }
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// All epochs were trained.
    Epochs,
    /// No epoch was better than the best for `training.early_stopping` epochs.
    EarlyStopping,
}
