//! What a training shows while it runs: progress, speed, metrics, recalls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn_train::metric::{LearningRateMetric, Metric, MetricDefinition, MetricId, NumericEntry};
use burn_train::renderer::{MetricState, TrainingProgress};

use super::training_speed::{Speed, in_words, significant};
use crate::escape::escaped;
use crate::geometry::Measure;
use crate::training::{
    AnchorLossMetric, CheckpointPosition, EpochRecord, Measured, RunFolder, Statistic,
};

/// The state, shared by the observer, the renderer and the dashboard.
#[derive(Clone, Default)]
pub(super) struct SharedState(Arc<Mutex<TrainingState>>);

impl SharedState {
    pub(super) fn lock(&self) -> MutexGuard<'_, TrainingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a training shows.
#[derive(Default)]
pub(super) struct TrainingState {
    /// The run folder.
    pub(super) run: String,
    /// Configured epochs.
    pub(super) epochs: usize,
    /// The current epoch, from 1; 0 before the first.
    pub(super) epoch: usize,
    /// What is done in the current epoch.
    pub(super) phase: Phase,
    /// Units done in the phase, and in total.
    pub(super) step: (u64, u64),
    /// The metrics of the training steps.
    pub(super) metrics: Vec<MetricRow>,
    /// Measures of the untrained network.
    pub(super) untrained: Option<Measured>,
    /// The last measured epoch and its measures.
    pub(super) last: Option<(usize, Measured)>,
    /// The best trained epoch, and its measures.
    pub(super) best: Option<(usize, Measured)>,
    /// Epochs and their mean loss.
    pub(super) losses: Vec<(f64, f64)>,
    /// Measured epochs and their Recall@1 in per cent.
    pub(super) recalls: Vec<(f64, f64)>,
    definitions: Vec<MetricDefinition>,
    /// Steps of the resumed epoch that were taken before.
    resumed_steps: usize,
    speed: Speed,
}

/// What is done in an epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Training steps.
    #[default]
    Training,
    /// Embedding the images of the validation.
    Validation,
    /// Other long work, by name.
    Task(String),
}

/// A metric of the training steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricRow {
    pub(super) name: String,
    /// The mean over the last epoch.
    pub(super) last: Option<f64>,
    /// The value in the last step.
    pub(super) now: Option<f64>,
}

impl TrainingState {
    /// A run was created, or is resumed from the position `resumed`.
    pub(super) fn started(&mut self, folder: &RunFolder, resumed: Option<CheckpointPosition>) {
        self.run = escaped(&folder.path().display().to_string()).to_string();
        let Some(resumed) = resumed else {
            return;
        };
        self.resumed_steps = resumed.steps();
        // A history that cannot be read is reported by the training.
        for record in folder.history().unwrap_or_default() {
            if record.epoch <= resumed.complete_epochs() {
                self.recorded(&record);
            }
        }
    }

    /// The training loop begins after epoch `resumed`.
    pub(super) fn loop_started(&mut self, epochs: usize, resumed: Option<usize>, now: Instant) {
        self.epochs = epochs;
        self.epoch = resumed.unwrap_or(0);
        self.speed = Speed::new(self.epoch, self.resumed_steps, now);
    }

    /// An epoch was recorded during the training loop.
    pub(super) fn epoch_recorded(&mut self, record: &EpochRecord, epochs: usize, now: Instant) {
        self.epochs = epochs;
        self.epoch = record.epoch;
        self.speed.epoch_ended(record.epoch, now);
        self.recorded(record);
    }

    fn recorded(&mut self, record: &EpochRecord) {
        for (key, &value) in &record.training {
            if let Some(name) = metric_name(key) {
                self.row(&name).last = Some(value);
            }
        }
        let epoch = record.epoch as f64;
        if let Some(&loss) = record.training.get("loss") {
            self.losses.push((epoch, loss));
        }
        let Some(measured) = record.measured() else {
            return;
        };
        self.recalls.push((epoch, 100.0 * measured.recall.at_1()));
        let measured = (record.epoch, measured);
        if record.epoch == 0 {
            self.untrained = Some(measured.1.clone());
        } else if self
            .best
            .as_ref()
            .is_none_or(|(_, best)| measured.1.score() > best.score())
        {
            self.best = Some(measured.clone());
        }
        self.last = Some(measured);
    }

    /// A metric was registered.
    pub(super) fn register(&mut self, definition: MetricDefinition) {
        self.definitions.push(definition);
    }

    /// A metric of a training step has a value.
    pub(super) fn update_train(&mut self, state: &MetricState) {
        let MetricState::Numeric(entry, value) = state else {
            return;
        };
        if matches!(value, NumericEntry::Aggregated { count: 0, .. }) {
            return;
        }
        if let Some(name) = self.name_of(&entry.metric_id) {
            self.row(&name).now = Some(value.current());
        }
    }

    fn name_of(&self, id: &MetricId) -> Option<String> {
        let mut definitions = self.definitions.iter();
        let definition = definitions.find(|definition| definition.metric_id == *id)?;
        Some(definition.name.clone())
    }

    /// The row of a metric; rows are in the order of [`metric_names`].
    fn row(&mut self, name: &str) -> &mut MetricRow {
        let at = match self.metrics.iter().position(|row| row.name == name) {
            Some(at) => at,
            None => {
                self.metrics.push(MetricRow {
                    name: name.to_string(),
                    last: None,
                    now: None,
                });
                let order: Vec<String> = metric_names().map(|(_, name)| name).collect();
                let rank = |name: &str| order.iter().position(|known| known == name);
                self.metrics
                    .sort_by_key(|row| (rank(&row.name).unwrap_or(order.len()), row.name.clone()));
                let mut rows = self.metrics.iter();
                rows.position(|row| row.name == name).expect("it was added")
            }
        };
        &mut self.metrics[at]
    }

    /// A training step is done.
    pub(super) fn render_train(&mut self, progress: &TrainingProgress, now: Instant) {
        self.epoch = progress.global_progress.items_processed;
        self.epochs = progress.global_progress.items_total;
        self.phase = Phase::Training;
        if let Some(items) = &progress.progress {
            let (done, total) = (items.items_processed as u64, items.items_total as u64);
            self.step = (done, total);
            self.speed.step(self.epoch, done, total, now);
        }
    }

    /// A batch of the validation is done.
    pub(super) fn render_valid(&mut self, progress: &TrainingProgress) {
        self.phase = Phase::Validation;
        if let Some(items) = &progress.progress {
            self.step = (items.items_processed as u64, items.items_total as u64);
        }
    }

    /// Other long work.
    pub(super) fn task(&mut self, name: &str, done: u64, total: Option<u64>) {
        self.phase = Phase::Task(escaped(name).to_string());
        self.step = (done, total.unwrap_or(0));
    }

    /// Images trained per second, without validation, over the last seconds.
    pub(super) fn images_per_second(&self) -> Option<f64> {
        self.speed.images_per_second()
    }

    /// The time until the last epoch, at the speed since the training loop began.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.speed.time_left(self.epochs, now)
    }

    /// Images per second, time left and memory, as far as they are known.
    pub(super) fn figures(&self, now: Instant) -> Vec<String> {
        let speed = self.images_per_second();
        let left = self.time_left(now).filter(|left| !left.is_zero());
        let memory = crate::process_memory::resident_mib();
        [
            speed.map(|speed| format!("{} images/s", significant(speed))),
            left.map(|left| format!("{} left", in_words(left))),
            memory.map(|mib| format!("{mib:.0} MiB")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The keys of a run's `metrics.jsonl` and the names of the metrics, in the order in which they are shown.
fn metric_names() -> impl Iterator<Item = (&'static str, String)> {
    let statistics = [Measure::Distance, Measure::InnerProduct]
        .into_iter()
        .flat_map(Statistic::all)
        .map(|statistic| (statistic.key(), statistic.name().to_string()));
    let rate = LearningRateMetric::new().name().to_string();
    [("loss", AnchorLossMetric::NAME.to_string())]
        .into_iter()
        .chain(statistics)
        .chain([("learning_rate", rate)])
}

fn metric_name(key: &str) -> Option<String> {
    metric_names()
        .find(|(known, _)| *known == key)
        .map(|(_, name)| name)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use burn::data::dataloader::Progress;
    use burn_train::metric::{MetricAttributes, MetricEntry, SerializedEntry};

    use super::*;
    use crate::evaluation::Recall;

    /// A record of `epoch` with Recall@1 and a loss that follow from the epoch.
    pub(in crate::cli) fn record(epoch: usize, recall_at_1: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            training: match epoch {
                0 => [].into(),
                _ => [
                    ("loss".to_string(), 1.0 / epoch as f64),
                    ("learning_rate".to_string(), 1e-4),
                    ("d_positive".to_string(), 0.5),
                    ("d_negative".to_string(), 0.75),
                    ("active".to_string(), 50.0),
                    ("mined".to_string(), 2.0),
                    ("anchors".to_string(), 64.0),
                ]
                .into(),
            },
            recall: Some(Recall {
                at: [1, 2, 4, 8]
                    .map(|k| (k, recall_at_1 + k as f64 / 100.0))
                    .into(),
                queries: 100,
            }),
            map_at_r: Some(recall_at_1 / 2.0),
            seconds: 1.0,
        }
    }

    fn progress(epoch: usize, epochs: usize, items: (usize, usize)) -> TrainingProgress {
        TrainingProgress {
            progress: Some(Progress::new(items.0, items.1)),
            global_progress: Progress::new(epoch, epochs),
            iteration: None,
        }
    }

    /// A training of 20 epochs in its 3rd.
    pub(in crate::cli) fn running(since: Instant) -> TrainingState {
        let mut state = TrainingState {
            run: "artifacts/quickstart-1".into(),
            ..TrainingState::default()
        };
        state.epoch_recorded(&record(0, 0.25), 20, since);
        state.loop_started(20, None, since);
        let loss = MetricId::new(Arc::new("loss".into()));
        state.register(MetricDefinition {
            metric_id: loss.clone(),
            name: AnchorLossMetric::NAME.into(),
            description: None,
            attributes: MetricAttributes::None,
        });
        let second = Duration::from_secs(1);
        state.render_train(&progress(1, 20, (50, 100)), since + second);
        state.render_train(&progress(1, 20, (100, 100)), since + 2 * second);
        state.epoch_recorded(&record(1, 0.7), 20, since + 3 * second);
        state.render_train(&progress(2, 20, (100, 100)), since + 5 * second);
        state.epoch_recorded(&record(2, 0.6), 20, since + 6 * second);
        let entry = MetricEntry::new(loss, SerializedEntry::new("0.125".into(), "0.125".into()));
        state.update_train(&MetricState::Numeric(entry, NumericEntry::Value(0.125)));
        state.render_train(&progress(3, 20, (50, 100)), since + 7 * second);
        state
    }

    #[test]
    fn recalls_are_those_of_the_untrained_the_last_and_the_best_epoch() {
        let state = running(Instant::now());
        assert!((state.untrained.unwrap().recall.at_1() - 0.26).abs() < 1e-9);
        assert_eq!(state.last.map(|(epoch, _)| epoch), Some(2));
        assert_eq!(state.best.map(|(epoch, _)| epoch), Some(1));
        assert_eq!(state.recalls.len(), 3);
        assert_eq!(state.losses, [(1.0, 1.0), (2.0, 0.5)]);
    }

    #[test]
    fn metrics_have_the_mean_of_the_last_epoch_and_the_value_of_the_last_step() {
        let state = running(Instant::now());
        let names: Vec<&str> = state.metrics.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Loss",
                "d+",
                "d-",
                "Active",
                "Mined",
                "Anchors",
                "Learning Rate"
            ]
        );
        assert_eq!(
            (state.metrics[0].last, state.metrics[0].now),
            (Some(0.5), Some(0.125))
        );
        assert_eq!(state.metrics[1].now, None);
    }

    #[test]
    fn speed_is_without_validation_and_time_left_is_with_it() {
        let since = Instant::now();
        let state = running(since);
        // 250 images in 1 + 1 + 2 + 1 seconds of training.
        assert_eq!(state.images_per_second(), Some(50.0));
        // 2.5 epochs in 7 seconds; 17.5 are left.
        let left = state.time_left(since + Duration::from_secs(7)).unwrap();
        assert_eq!(left.as_secs(), 49);
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let since = Instant::now();
        let mut state = TrainingState::default();
        state.loop_started(1, None, since);
        // A slow first step, then two images a second.
        for step in 0..40 {
            let now = since + Duration::from_secs(60 + step);
            state.render_train(&progress(1, 1, (2 * (1 + step as usize), 80)), now);
        }
        assert_eq!(state.images_per_second(), Some(2.0));
    }

    #[test]
    fn time_left_of_a_resumed_training_counts_from_the_resumed_epoch() {
        let since = Instant::now();
        let mut state = TrainingState::default();
        state.loop_started(20, Some(10), since);
        assert_eq!(state.time_left(since + Duration::from_secs(1)), None);
        state.epoch_recorded(&record(11, 0.5), 20, since + Duration::from_secs(4));
        let left = state.time_left(since + Duration::from_secs(4)).unwrap();
        assert_eq!(left.as_secs(), 36);
    }

    #[test]
    fn speed_and_time_left_of_a_training_resumed_within_an_epoch_count_its_own_steps() {
        let since = Instant::now();
        let mut state = TrainingState {
            resumed_steps: 7,
            ..TrainingState::default()
        };
        state.loop_started(2, Some(0), since);
        let now = since + Duration::from_secs(2);
        state.render_train(&progress(1, 2, (80, 100)), now);
        // 10 images, a tenth of an epoch, in two seconds; 1.2 epochs are left.
        assert_eq!(state.images_per_second(), Some(5.0));
        assert_eq!(state.time_left(now).map(|left| left.as_secs()), Some(24));
    }

    #[test]
    fn time_left_is_shown_within_the_last_epoch_and_not_after_it() {
        let since = Instant::now();
        let mut state = TrainingState::default();
        state.loop_started(1, None, since);
        let left = |state: &TrainingState, now| {
            let figures = state.figures(now);
            figures.into_iter().find(|figure| figure.ends_with("left"))
        };
        let now = since + Duration::from_secs(3);
        state.render_train(&progress(1, 1, (25, 100)), now);
        assert_eq!(left(&state, now).as_deref(), Some("9 s left"));
        let now = since + Duration::from_secs(12);
        state.epoch_recorded(&record(1, 0.5), 1, now);
        assert_eq!(left(&state, now), None);
    }
}
