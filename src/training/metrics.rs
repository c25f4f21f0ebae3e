//! What the dashboard and the log show, as Burn metrics.

use std::sync::Arc;

use burn_train::metric::state::{FormatOptions, NumericMetricState};
use burn_train::metric::{
    Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes,
    NumericEntry, SerializedEntry,
};

use super::TrainingError;
use super::failure::TrainingFailure;
use super::metric_learner::{FinishedSteps, Validated};
use super::validation::Validation;
use crate::geometry::Measure;
use crate::loss::LossStatistics;

/// One of the loss's statistics, averaged over anchors.
#[derive(Clone)]
pub struct StatisticMetric {
    statistic: Statistic,
    state: MeanOfSteps,
}

/// The statistics of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Mean over anchors of the distance to, or inner product with, the hardest positive.
    Positive(Measure),
    /// Mean over anchors of the distance to, or inner product with, the hardest negative.
    Negative(Measure),
    /// Share of anchors with a loss above 0, in per cent.
    Active,
    /// Mean over anchors of the number of positives and negatives that have a gradient.
    Mined,
    /// Mean over batches of the number of anchors that have a positive and a negative.
    Anchors,
}

impl Statistic {
    /// What is shown of a loss that compares by `measure`.
    pub const fn all(measure: Measure) -> [Self; 5] {
        [
            Self::Positive(measure),
            Self::Negative(measure),
            Self::Active,
            Self::Mined,
            Self::Anchors,
        ]
    }

    /// The name in the dashboard.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive(Measure::Distance) => "d+",
            Self::Negative(Measure::Distance) => "d-",
            Self::Positive(Measure::InnerProduct) => "s+",
            Self::Negative(Measure::InnerProduct) => "s-",
            Self::Active => "Active",
            Self::Mined => "Mined",
            Self::Anchors => "Anchors",
        }
    }

    /// The key in a run's `metrics.jsonl`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Positive(Measure::Distance) => "d_positive",
            Self::Negative(Measure::Distance) => "d_negative",
            Self::Positive(Measure::InnerProduct) => "s_positive",
            Self::Negative(Measure::InnerProduct) => "s_negative",
            Self::Active => "active",
            Self::Mined => "mined",
            Self::Anchors => "anchors",
        }
    }
}

impl Statistic {
    /// Its value in a step, and how much the step counts in the mean of an epoch.
    fn of(self, loss: &LossStatistics) -> (f64, usize) {
        let per_anchor = |count: usize| count as f64 / loss.anchors.max(1) as f64;
        match self {
            Self::Positive(_) => (loss.mean_positive, loss.anchors),
            Self::Negative(_) => (loss.mean_negative, loss.anchors),
            Self::Active => (100.0 * per_anchor(loss.active), loss.anchors),
            Self::Mined => (per_anchor(loss.mined), loss.anchors),
            Self::Anchors => (loss.anchors as f64, 1),
        }
    }
}

/// The weighted mean of a number over the steps of an epoch. The entry that a step leaves in Burn's
/// event store is the mean of the steps that were read with it, of which there may be none.
#[derive(Clone, Default)]
struct MeanOfSteps {
    state: NumericMetricState,
    last: Option<(f64, usize)>,
}

impl MeanOfSteps {
    fn update(
        &mut self,
        steps: impl Iterator<Item = (f64, usize)>,
        format: FormatOptions,
    ) -> SerializedEntry {
        let (mut sum, mut weight) = (0.0, 0);
        let mut read = 0;
        for (value, of_step) in steps {
            sum += value * of_step as f64;
            weight += of_step;
            read += 1;
        }
        if read == 0 {
            self.last = None;
            let nothing = self.current();
            return SerializedEntry::new("-".to_string(), nothing.serialize());
        }
        let mean = if weight == 0 {
            0.0
        } else {
            sum / weight as f64
        };
        self.last = Some((mean, weight));
        self.state.update(mean, weight, format)
    }

    /// The last entry; it counts for nothing where no step was read.
    fn current(&self) -> NumericEntry {
        let (aggregated_value, count) = self.last.unwrap_or((0.0, 0));
        NumericEntry::Aggregated {
            aggregated_value,
            count,
        }
    }

    fn running(&self) -> NumericEntry {
        match self.state.running_value() {
            NumericEntry::Aggregated { count: 0, .. } => NumericEntry::Aggregated {
                aggregated_value: 0.0,
                count: 0,
            },
            running => running,
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl StatisticMetric {
    /// A metric of one statistic.
    pub fn new(statistic: Statistic) -> Self {
        Self {
            statistic,
            state: MeanOfSteps::default(),
        }
    }
}

impl Metric for StatisticMetric {
    type Input = FinishedSteps;

    fn name(&self) -> MetricName {
        Arc::new(self.statistic.name().to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        numeric((self.statistic == Statistic::Active).then_some("%"), false)
    }

    fn update(&mut self, finished: &FinishedSteps, _: &MetricMetadata) -> SerializedEntry {
        let statistic = self.statistic;
        let entries = finished.0.iter().map(|step| statistic.of(&step.loss));
        let format = FormatOptions::new(self.name()).precision(3);
        self.state.update(entries, format)
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for StatisticMetric {
    fn value(&self) -> NumericEntry {
        self.state.current()
    }

    fn running_value(&self) -> NumericEntry {
        self.state.running()
    }
}

/// The mean loss of the anchors, whatever the reduction. A loss or an embedding that is not finite
/// stops the training.
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

    /// A loss metric that records a loss that is not finite as the training's `failure`.
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

/// Recall@K of the test split, in per cent: the last one measured, so that the dashboard shows the
/// untrained network's until the first validation is through.
#[derive(Clone)]
pub struct RecallMetric {
    k: usize,
    validation: Validation,
    measured: usize,
}

impl RecallMetric {
    /// A metric of Recall@`k` as `validation` measures it.
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

    // A whole-split measure: entries weigh nothing until the split's last batch, for Burn's event
    // store averages a metric's entries by their counts.
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

impl Adaptor<FinishedSteps> for FinishedSteps {
    fn adapt(&self) -> FinishedSteps {
        self.clone()
    }
}

impl Adaptor<Validated> for Validated {
    fn adapt(&self) -> Validated {
        Validated
    }
}

fn numeric(unit: Option<&str>, higher_is_better: bool) -> MetricAttributes {
    NumericAttributes {
        unit: unit.map(String::from),
        higher_is_better,
    }
    .into()
}
