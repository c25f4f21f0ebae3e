//! The record of a run, epoch by epoch: a line of `metrics.jsonl`, and a line for the reader where
//! there is no dashboard.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use burn_train::logger::MetricLogger;
use burn_train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn_train::metric::{LearningRateMetric, Metric, MetricDefinition, MetricId, NumericEntry};

use super::metrics::{AnchorLossMetric, Statistic};
use super::run_folder::{EpochRecord, RunFolder};
use super::stop::Stop;
use super::validation::Validation;
use crate::error::Error;
use crate::negatives::Measure;

/// Collects what Burn's metrics send and writes it down at the end of each epoch.
pub struct EpochLog {
    folder: RunFolder,
    validation: Validation,
    stop: Stop,
    epochs: usize,
    /// Whether epochs are also printed on standard error.
    printed: bool,
    names: HashMap<MetricId, String>,
    /// Entries of the epoch under way, by metric and split.
    entries: HashMap<(String, Split), Vec<NumericEntry>>,
    /// Weighted means of finished epochs.
    means: HashMap<(String, Split, usize), f64>,
    since: Instant,
}

impl EpochLog {
    /// A log into `folder` of a run of `epochs` epochs.
    pub fn new(
        folder: RunFolder,
        validation: Validation,
        stop: Stop,
        epochs: usize,
        printed: bool,
    ) -> Self {
        Self {
            folder,
            validation,
            stop,
            epochs,
            printed,
            names: HashMap::new(),
            entries: HashMap::new(),
            means: HashMap::new(),
            since: Instant::now(),
        }
    }

    fn end_epoch(&mut self, epoch: usize) {
        if !self.validation.is_complete(epoch) || self.stop.network_is_broken() {
            // A resumed run does this epoch again.
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
            self.stop.because(Error::RunFolder(error));
        }
        if self.printed {
            eprintln!("{}", epoch_line(&record, self.epochs));
        }
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
        // The last event of an epoch, with or without a validation.
        if summary.split == Split::Valid {
            self.end_epoch(epoch);
        }
    }
}

/// The mean of entries weighted by their counts; `None` when nothing was counted.
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

/// An epoch as a line for the reader.
pub fn epoch_line(record: &EpochRecord, epochs: usize) -> String {
    let width = epochs.to_string().len();
    let mut line = match record.epoch {
        0 => format!("{:<1$}", "untrained", "epoch /".len() + 2 * width),
        epoch => format!("epoch {epoch:>width$}/{epochs}"),
    };
    let training = |key: &str| record.training.get(key).copied();
    if let Some(loss) = training("loss") {
        line += &format!("  loss {loss:.4}");
    }
    for name in ["d", "s"] {
        let hardest = |kind: &str| training(&format!("{name}_{kind}"));
        if let (Some(positive), Some(negative)) = (hardest("positive"), hardest("negative")) {
            line += &format!("  {name}+ {positive:.3}  {name}- {negative:.3}");
        }
    }
    if let Some(active) = training("active") {
        line += &format!("  active {active:5.1} %");
    }
    if let Some(recall) = &record.recall {
        for (k, share) in &recall.at {
            line += &format!("  R@{k} {:.2}", 100.0 * share);
        }
    }
    line + &format!("  ({:.1} s)", record.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Recall;

    #[test]
    fn mean_is_weighted_by_counts_and_leaves_out_what_weighs_nothing() {
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

    #[test]
    fn line_shows_what_the_epoch_has() {
        let mut record = EpochRecord {
            epoch: 0,
            training: BTreeMap::new(),
            recall: Some(Recall {
                at: [(1, 0.25), (2, 0.5)].into(),
                queries: 4,
            }),
            seconds: 1.25,
        };
        assert_eq!(
            epoch_line(&record, 20),
            "untrained    R@1 25.00  R@2 50.00  (1.2 s)"
        );
        record.epoch = 3;
        record.training = [("loss".to_string(), 0.5)].into();
        record.recall = None;
        assert_eq!(epoch_line(&record, 20), "epoch  3/20  loss 0.5000  (1.2 s)");
    }
}
