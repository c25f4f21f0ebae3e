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

impl From<RetrievalMeasures> for Measured {
    fn from(measures: RetrievalMeasures) -> Self {
        Self {
            recall: measures.recall,
            map_at_r: Some(measures.map_at_r),
        }
    }
}
