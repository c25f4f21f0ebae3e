//! What is measured on a split during training.

use crate::evaluation::{Recall, RetrievalMeasures};

/// The measures of a split that a run records: all images of the split as one set.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Recall@K.
    pub recall: Recall,
    /// MAP@R, 0 to 1; `None` in runs of versions that did not record it.
    pub map_at_r: Option<f64>,
}

impl Measured {
    /// What is compared to find the best epoch.
    pub fn score(&self) -> Score {
        Score {
            recall_at_1: self.recall.at_1(),
            map_at_r: self.map_at_r,
        }
    }
}

/// How good an epoch is. The greater score has the higher Recall@1, or the same with the higher MAP@R: Recall@1 of few
/// queries soon stops rising, while MAP@R still does.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Score {
    /// Recall@1, 0 to 1. The first field is compared first.
    pub recall_at_1: f64,
    /// MAP@R, 0 to 1; `None`, the least, if it is not recorded.
    pub map_at_r: Option<f64>,
}

impl From<RetrievalMeasures> for Measured {
    fn from(measures: RetrievalMeasures) -> Self {
        Self {
            recall: measures.recall,
            map_at_r: Some(measures.map_at_r),
        }
    }
}
