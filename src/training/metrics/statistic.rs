//! The statistics of the loss.

use std::sync::Arc;

use burn_train::metric::state::FormatOptions;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericEntry, SerializedEntry,
};

use super::numeric;
use super::weighted_mean::MeanOfSteps;
use crate::geometry::Measure;
use crate::loss::LossStatistics;
use crate::training::step::FinishedSteps;

/// A statistic of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Mean over anchors of the distance to, or inner product with, the hardest positive.
    Positive(Measure),
    /// Mean over anchors of the distance to, or inner product with, the hardest negative.
    Negative(Measure),
    /// Share of anchors with a loss above 0, in per cent.
    Active,
    /// Mean over anchors of the number of positives and negatives with a gradient.
    Mined,
    /// Mean over batches of the number of anchors that have a positive and a negative.
    Anchors,
}

impl Statistic {
    /// All statistics of a loss that compares by `measure`.
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
    /// The value in a step, and the weight of the step in the mean of an epoch.
    pub(in crate::training) fn weighted_value(self, loss: &LossStatistics) -> (f64, usize) {
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

/// One of the loss's statistics, averaged over anchors.
#[derive(Clone)]
pub struct StatisticMetric {
    statistic: Statistic,
    state: MeanOfSteps,
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
        let entries = finished
            .0
            .iter()
            .map(|step| statistic.weighted_value(&step.statistics.loss));
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
