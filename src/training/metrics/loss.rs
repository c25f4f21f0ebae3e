//! The mean loss of the anchors.

use std::sync::Arc;

use burn_train::metric::state::FormatOptions;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

use super::numeric;
use super::weighted_mean::MeanOfSteps;
use crate::training::TrainingError;
use crate::training::failure::TrainingFailure;
use crate::training::step::FinishedSteps;

/// The mean loss of the anchors, for either reduction. A loss or an embedding that is not finite stops
/// the training.
#[derive(Clone)]
pub struct AnchorLossMetric {
    state: MeanOfSteps,
    /// Steps of this epoch so far.
    steps: usize,
    failure: TrainingFailure,
}

impl AnchorLossMetric {
    /// The name in the dashboard.
    pub const NAME: &str = "Loss";

    /// Creates a metric that records a loss that is not finite as the training's `failure`.
    pub fn new(failure: TrainingFailure) -> Self {
        Self {
            state: MeanOfSteps::default(),
            steps: 0,
            failure,
        }
    }
}

impl Metric for AnchorLossMetric {
    type Input = FinishedSteps;

    fn name(&self) -> MetricName {
        Arc::new(Self::NAME.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        numeric(None, false)
    }

    fn update(&mut self, finished: &FinishedSteps, metadata: &MetricMetadata) -> SerializedEntry {
        for step in &finished.0 {
            self.steps += 1;
            if !step.finite_embeddings || !step.loss.mean.is_finite() {
                self.failure.record(TrainingError::NotFinite {
                    epoch: metadata.global_progress.items_processed,
                    step: self.steps,
                });
            }
        }
        let entries = finished
            .0
            .iter()
            .map(|step| (step.loss.mean, step.loss.anchors));
        let format = FormatOptions::new(self.name()).precision(4);
        self.state.update(entries, format)
    }

    fn clear(&mut self) {
        self.state.reset();
        self.steps = 0;
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
