//! Retrieval measures of the split that chooses the best epoch.

use std::sync::Arc;

use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

use super::numeric;
use crate::training::retrieval_measure::RetrievalMeasure;
use crate::training::step::Validated;
use crate::training::validation::Validation;

/// The last value of a measure of the split that chooses the best epoch, in per cent. Until the first
/// validation ends, the dashboard shows that of the untrained network.
#[derive(Clone)]
pub struct RetrievalMetric {
    measure: RetrievalMeasure,
    validation: Validation,
    measured: usize,
}

impl RetrievalMetric {
    /// Creates a metric of `measure` as `validation` computes it.
    pub fn new(measure: RetrievalMeasure, validation: Validation) -> Self {
        Self {
            measure,
            validation,
            measured: 0,
        }
    }

    fn entry(&self) -> NumericEntry {
        let share = self
            .validation
            .latest()
            .and_then(|(_, measured)| self.measure.of(&measured));
        NumericEntry::Aggregated {
            aggregated_value: 100.0 * share.unwrap_or(0.0),
            count: self.measured,
        }
    }
}

impl Metric for RetrievalMetric {
    type Input = Validated;

    fn name(&self) -> MetricName {
        Arc::new(self.measure.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        numeric(Some("%"), true)
    }

    // These are measures of the whole split, and Burn's event store averages entries by their counts:
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

impl Numeric for RetrievalMetric {
    fn value(&self) -> NumericEntry {
        self.entry()
    }

    fn running_value(&self) -> NumericEntry {
        self.entry()
    }
}
