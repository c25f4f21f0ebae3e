//! The training metrics of an epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::Statistic;
use super::step_statistics::StepStatistics;
use crate::geometry::Measure;

/// Sums of the statistics of an epoch's steps, in the order of the steps. A checkpoint within an epoch
/// contains them, so that a resumed epoch has the metrics of the uninterrupted one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochStatistics {
    /// Number of steps.
    steps: usize,
    /// Sum of the learning rates of the steps.
    learning_rates: f64,
    /// The loss, by anchor.
    loss: WeightedSum,
    /// The other statistics by their key in `metrics.jsonl`.
    others: BTreeMap<String, WeightedSum>,
}

/// A weighted sum, and the sum of the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct WeightedSum {
    sum: f64,
    weight: usize,
}

impl WeightedSum {
    fn add(&mut self, value: f64, weight: usize) {
        self.sum += value * weight as f64;
        self.weight += weight;
    }

    /// `None` if the weights are all 0.
    fn mean(self) -> Option<f64> {
        (self.weight > 0).then(|| self.sum / self.weight as f64)
    }
}

impl EpochStatistics {
    /// Adds a step of a loss that compares by `measure`.
    pub(super) fn add(&mut self, step: &StepStatistics, measure: Measure) {
        self.steps += 1;
        self.loss.add(step.loss.mean, step.loss.anchors);
        for statistic in Statistic::all(measure) {
            let (value, weight) = statistic.weighted_value(&step.loss);
            let sum = self.others.entry(statistic.key().to_string());
            sum.or_default().add(value, weight);
        }
    }

    /// Adds the learning rate of a step.
    pub(super) fn add_learning_rate(&mut self, rate: f64) {
        self.learning_rates += rate;
    }

    /// Number of steps that were added.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The means over the anchors or steps, by the key in `metrics.jsonl`.
    pub fn means(&self) -> BTreeMap<String, f64> {
        let rate = (self.steps > 0).then(|| self.learning_rates / self.steps as f64);
        let others = self.others.iter();
        [("loss", self.loss.mean()), ("learning_rate", rate)]
            .into_iter()
            .chain(others.map(|(key, sum)| (key.as_str(), sum.mean())))
            .filter_map(|(key, mean)| Some((key.to_string(), mean?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::LossStatistics;

    fn step(mean: f64, anchors: usize) -> StepStatistics {
        StepStatistics {
            loss: LossStatistics {
                sum: mean * anchors as f64,
                mean,
                anchors,
                active: anchors,
                mined: 0,
                mean_positive: 0.1,
                mean_negative: 0.3,
            },
            finite_embeddings: true,
        }
    }

    fn epoch(steps: &[StepStatistics]) -> EpochStatistics {
        let mut epoch = EpochStatistics::default();
        for step in steps {
            epoch.add_learning_rate(1e-3 / 3.0);
            epoch.add(step, Measure::Distance);
        }
        epoch
    }

    #[test]
    fn loss_is_averaged_over_anchors() {
        let means = epoch(&[step(1.0, 1), step(4.0, 2)]).means();
        assert_eq!(means["loss"], 3.0);
        assert_eq!(means["anchors"], 1.5);
        assert_eq!(means["active"], 100.0);
    }

    #[test]
    fn step_without_anchors_adds_nothing_to_means_over_anchors() {
        let means = epoch(&[step(0.0, 0), step(4.0, 2)]).means();
        assert_eq!(means["loss"], 4.0);
        assert!(!epoch(&[step(0.0, 0)]).means().contains_key("loss"));
    }

    #[test]
    fn sums_are_read_back_exactly() {
        let epoch = epoch(&[step(0.1, 3), step(1.0 / 3.0, 7), step(1e-300, 1)]);
        let text = serde_json::to_string(&epoch).unwrap();
        assert_eq!(
            serde_json::from_str::<EpochStatistics>(&text).unwrap(),
            epoch
        );
    }
}
