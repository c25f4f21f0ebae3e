//! The record of each epoch: a line of `metrics.jsonl`, reported to the observer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use burn_train::logger::MetricLogger;
use burn_train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn_train::metric::{LearningRateMetric, Metric, MetricDefinition, MetricId, NumericEntry};

use super::failure::TrainingFailure;
use super::metrics::{AnchorLossMetric, Statistic};
use super::observer::{TrainingEvent, TrainingObserver};
use super::run_folder::{EpochRecord, RunFolder};
use super::validation::Validation;
use crate::geometry::Measure;

/// Collects the entries of Burn's metrics and records their means at the end of each epoch.
pub struct EpochLog {
    folder: RunFolder,
    validation: Validation,
    failure: TrainingFailure,
    epochs: usize,
    observer: Arc<dyn TrainingObserver>,
    names: HashMap<MetricId, String>,
    /// Entries of the current epoch, by metric and split.
    entries: HashMap<(String, Split), Vec<NumericEntry>>,
    /// Weighted means of finished epochs.
    means: HashMap<(String, Split, usize), f64>,
    since: Instant,
}

impl EpochLog {
    /// Creates a log into `folder` of a run of `epochs` epochs.
    pub fn new(
        folder: RunFolder,
        validation: Validation,
        failure: TrainingFailure,
        epochs: usize,
        observer: Arc<dyn TrainingObserver>,
    ) -> Self {
        Self {
            folder,
            validation,
            failure,
            epochs,
            observer,
            names: HashMap::new(),
            entries: HashMap::new(),
            means: HashMap::new(),
            since: Instant::now(),
        }
    }

    fn end_epoch(&mut self, epoch: usize) {
        if !self.validation.is_complete(epoch) || self.failure.network_is_broken() {
            // A resumed run repeats this epoch.
            return;
        }
        let learning_rate = LearningRateMetric::new().name();
        let statistics = [Measure::Distance, Measure::InnerProduct]
            .into_iter()
            .flat_map(Statistic::all)
            .map(|statistic| (statistic.name(), statistic.key()));
        let training: BTreeMap<String, f64> = [
            (AnchorLossMetric::NAME, "loss"),
            (learning_rate.as_str(), "learning_rate"),
        ]
        .into_iter()
        .chain(statistics)
        .filter_map(|(name, key)| {
            let mean = self.means.get(&(name.to_string(), Split::Train, epoch))?;
            Some((key.to_string(), *mean))
        })
        .collect();
        let record = EpochRecord {
            epoch,
            training,
            recall: self.validation.recall(epoch),
            seconds: self.since.elapsed().as_secs_f64(),
        };
        self.since = Instant::now();
        if let Err(error) = self.folder.append(&record) {
            self.failure.record(error.into());
        }
        self.observer.event(TrainingEvent::EpochRecorded {
            record: &record,
            epochs: self.epochs,
        });
    }
}

impl MetricLogger for EpochLog {
    fn log(&mut self, update: MetricsUpdate, _: usize, split: &Split) {
        for numeric in update.entries_numeric {
            if let Some(name) = self.names.get(&numeric.entry.metric_id) {
                self.entries
                    .entry((name.clone(), split.clone()))
                    .or_default()
                    .push(numeric.numeric_entry);
            }
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let mean = self.means.get(&(name.to_string(), split.clone(), epoch));
        Ok(mean
            .map(|mean| NumericEntry::Value(*mean))
            .into_iter()
            .collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let epoch = summary.epoch_number;
        let finished = self
            .entries
            .extract_if(|(_, split), _| *split == summary.split);
        for ((name, split), entries) in finished {
            if let Some(mean) = weighted_mean(&entries) {
                self.means.insert((name, split, epoch), mean);
            }
        }
        // The last event of an epoch, whether or not it is validated.
        if summary.split == Split::Valid {
            self.end_epoch(epoch);
        }
    }
}

/// The mean of entries weighted by their counts; `None` if all counts are 0.
fn weighted_mean(entries: &[NumericEntry]) -> Option<f64> {
    let (sum, count) = entries
        .iter()
        .fold((0.0, 0), |(sum, count), entry| match entry {
            NumericEntry::Value(value) => (sum + value, count + 1),
            NumericEntry::Aggregated { count: 0, .. } => (sum, count),
            NumericEntry::Aggregated {
                aggregated_value,
                count: weight,
            } => (sum + aggregated_value * *weight as f64, count + weight),
        });
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_is_weighted_by_counts_and_ignores_entries_of_weight_zero() {
        let entry = |aggregated_value, count| NumericEntry::Aggregated {
            aggregated_value,
            count,
        };
        assert_eq!(weighted_mean(&[entry(1.0, 1), entry(4.0, 2)]), Some(3.0));
        assert_eq!(
            weighted_mean(&[entry(f64::NAN, 0), entry(4.0, 2)]),
            Some(4.0)
        );
        assert_eq!(weighted_mean(&[entry(4.0, 0)]), None);
    }
}
