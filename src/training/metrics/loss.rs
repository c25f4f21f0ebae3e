//! The mean loss of the anchors.

use std::sync::Arc;

use burn_train::metric::state::FormatOptions;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

use super::numeric;
use super::weighted_mean::MeanOfSteps;
use crate::training::step::FinishedSteps;

/// The mean loss of the anchors, for either reduction.
#[derive(Clone, Default)]
pub struct AnchorLossMetric {
    state: MeanOfSteps,
}

impl AnchorLossMetric {
    /// The name in the dashboard.
    pub const NAME: &str = "Loss";
}

impl Metric for AnchorLossMetric {
    type Input = FinishedSteps;

    fn name(&self) -> MetricName {
        Arc::new(Self::NAME.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        numeric(None, false)
    }

    fn update(&mut self, finished: &FinishedSteps, _: &MetricMetadata) -> SerializedEntry {
        let steps = finished.0.iter().map(|step| &step.statistics.loss);
        let entries = steps.map(|loss| (loss.mean, loss.anchors));
        let format = FormatOptions::new(self.name()).precision(4);
        self.state.update(entries, format)
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for AnchorLossMetric {
    fn value(&self) -> NumericEntry {
        self.state.current()
    }

    fn running_value(&self) -> NumericEntry {
        self.state.running()
    }
}
