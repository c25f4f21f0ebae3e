//! Recall@K of the split that chooses the best epoch.

use std::sync::Arc;

use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

use super::numeric;
use crate::training::step::Validated;
use crate::training::validation::Validation;

/// The last Recall@K of the split that chooses the best epoch, in per cent. Until the first validation ends, the dashboard shows
/// that of the untrained network.
#[derive(Clone)]
pub struct RecallMetric {
    k: usize,
    validation: Validation,
    measured: usize,
}

impl RecallMetric {
    /// Creates a metric of Recall@`k` as `validation` measures it.
    pub fn new(k: usize, validation: Validation) -> Self {
        Self {
            k,
            validation,
            measured: 0,
        }
    }

    fn entry(&self) -> NumericEntry {
        let share = self
            .validation
            .latest()
            .and_then(|(_, recall)| recall.at.get(&self.k).copied());
        NumericEntry::Aggregated {
            aggregated_value: 100.0 * share.unwrap_or(0.0),
            count: self.measured,
        }
    }
}

impl Metric for RecallMetric {
    type Input = Validated;

    fn name(&self) -> MetricName {
        Arc::new(format!("R@{}", self.k))
    }

    fn attributes(&self) -> MetricAttributes {
        numeric(Some("%"), true)
    }

    // Recall is a measure of the whole split, and Burn's event store averages entries by their counts:
    // the counts are 0 until the split's last batch.
    fn update(&mut self, _: &Validated, metadata: &MetricMetadata) -> SerializedEntry {
        let progress = &metadata.progress;
        let last = progress.items_processed == progress.items_total;
        self.measured = if last { progress.items_total } else { 0 };
        let entry = self.entry();
        SerializedEntry::new(format!("{:.2} %", entry.current()), entry.serialize())
    }

    fn clear(&mut self) {
        self.measured = 0;
    }
}

impl Numeric for RecallMetric {
    fn value(&self) -> NumericEntry {
        self.entry()
    }

    fn running_value(&self) -> NumericEntry {
        self.entry()
    }
}
