//! The epochs of a training, as a strategy of Burn's Learner.
//!
//! The Learner takes the steps; its dashboard and event store observe. Burn's own strategies decide about
//! checkpoints and early stopping in other threads, so that an epoch whose last update is not finite would
//! be saved. Here an epoch ends in the training thread, in this order:
//!
//! 1. evaluate, if due;
//! 2. check that the embeddings, the parameters and the state of the optimiser are finite;
//! 3. record the metrics durably;
//! 4. decide which epoch is the best, and whether to stop;
//! 5. save a checkpoint, if due;
//! 6. delete superseded checkpoints.

mod saving;
mod strategy;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::AutodiffBackend;
use burn_train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, TrainLoader, TrainingItem,
    ValidLoader,
};
use strategy::{Components, Processor};
pub(super) use strategy::{Ended, EpochLoop, EpochStrategy, LoopResult};

use super::TrainingError;
use super::checkpoint::{CheckpointPosition, CheckpointSchedule};
use super::collapse::{Collapse, CollapseDetector};
use super::distributed::check_parameters;
use super::diverged::DivergedStep;
use super::divergence::Divergence;
use super::evaluate::{gather_skipped, no_readable_query};
use super::metric_learner::MetricLearner;
use super::observer::TrainingEvent;
use super::resumable_keys::pinned;
use super::run_folder::{EndReason, EpochRecord};
use super::selection::should_stop;
use super::skipped_images::SkippedImages;
use super::step_statistics::{FinishedStep, StepStatistics};
use crate::data::{DataError, LoaderError};
use crate::geometry::Measure;

/// Whether all processes that train together return an error, because all compute what it is about.
fn is_of_all(error: &TrainingError) -> bool {
    matches!(
        error,
        TrainingError::Diverged { .. }
            | TrainingError::Data(DataError::Loader(LoaderError::NoReadableQuery { .. }))
    )
}

/// A training loop at work.
struct Running<B: AutodiffBackend> {
    epochs: EpochLoop<B>,
    learner: Learner<Components<B>>,
    train: TrainLoader<Components<B>>,
    valid: ValidLoader<Components<B>>,
    processor: Processor<B>,
    save_schedule: CheckpointSchedule,
    collapse: CollapseDetector,
    measure: Measure,
    /// The configuration for the headers of checkpoints.
    pinned: String,
    /// The last position with a checkpoint; at first the start.
    saved: Option<CheckpointPosition>,
    last_step: Option<LastStep>,
    skipped: SkippedImages,
    /// Queries of the last evaluation.
    queries: Option<usize>,
}

/// The last step that was taken.
struct LastStep {
    step: usize,
    /// Its images, as indices into the training split.
    images: Vec<usize>,
    /// `None` until they are read.
    statistics: Option<StepStatistics>,
}

/// Whether a part of the training was completed.
#[derive(PartialEq, Eq)]
enum Progressed {
    Completed,
    Interrupted,
}

impl<B: AutodiffBackend> Running<B> {
    fn new(
        epochs: EpochLoop<B>,
        learner: Learner<Components<B>>,
        train: TrainLoader<Components<B>>,
        valid: ValidLoader<Components<B>>,
        processor: Processor<B>,
    ) -> Self {
        Self {
            save_schedule: CheckpointSchedule::new(epochs.config.training.checkpoint_every),
            measure: epochs.config.loss.kind.init().measure(),
            pinned: pinned(&epochs.config),
            collapse: CollapseDetector::new(&epochs.config),
            saved: Some(epochs.start),
            last_step: None,
            skipped: SkippedImages::default(),
            queries: epochs
                .validation
                .latest()
                .map(|(_, measured)| measured.recall.queries),
            epochs,
            learner,
            train,
            valid,
            processor,
        }
    }

    /// The trained module and the event processor, which Burn's Learner continues with.
    fn into_parts(self) -> (MetricLearner<B>, Processor<B>) {
        (self.learner.model(), self.processor)
    }

    /// Runs the epochs. Processes that train together return together, so that none ends the others while process 0
    /// saves a checkpoint.
    fn run(&mut self) -> LoopResult {
        let result = self.run_epochs();
        let of_all = match &result {
            Ok(_) => true,
            Err(error) => is_of_all(error),
        };
        if of_all {
            self.epochs.group.any(false);
        }
        result
    }

    fn run_epochs(&mut self) -> LoopResult {
        let total = self.epochs.config.training.epochs;
        for epoch in self.epochs.start.complete_epochs() + 1..=total {
            let since = Instant::now();
            let progress = Progress::new(epoch, total);
            if self.train_epoch(epoch, &progress)? == Progressed::Interrupted {
                return Ok(Ended::Interrupted);
            }
            if self.evaluate(epoch, &progress)? == Progressed::Interrupted {
                self.save_within(epoch, self.epochs.batches_per_epoch)?;
                return Ok(Ended::Interrupted);
            }
            let stop = self.end_epoch(epoch, since)?;
            if let Some(reason) = stop {
                return Ok(Ended::Finished(reason));
            }
            if self.must_stop() {
                self.save(CheckpointPosition::end_of(epoch))?;
                return Ok(Ended::Interrupted);
            }
        }
        Ok(Ended::Finished(EndReason::Epochs))
    }

    /// Takes the remaining steps of `epoch`.
    fn train_epoch(
        &mut self,
        epoch: usize,
        progress: &Progress,
    ) -> Result<Progressed, TrainingError> {
        let train = self.train.clone();
        let mut batches = train.iter();
        let mut step = match epoch == self.epochs.start.complete_epochs() + 1 {
            true => self.epochs.start.steps(),
            false => 0,
        };
        loop {
            let batch = match catch_unwind(AssertUnwindSafe(|| batches.next())) {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(panic) => {
                    // A worker panicked. The state of the network is that after the last step.
                    self.save_before(epoch, step)?;
                    resume_unwind(panic);
                }
            };
            step += 1;
            self.learner.lr_step();
            let batch_progress = batches.progress();
            self.last_step = Some(LastStep {
                step,
                images: batch.indices.clone(),
                statistics: None,
            });
            let output = self.learner.train_step(batch);
            let rate = self.learner.lr_current();
            self.epochs.statistics.add_learning_rate(rate);
            for finished in &output.item.0 {
                self.add_step(epoch, finished)?;
            }
            self.learner.optimizer_step(output.grads);
            let item = TrainingItem::new(
                output.item,
                batch_progress,
                progress.clone(),
                Some(step),
                Some(rate),
            );
            self.processor
                .process_train(LearnerEvent::ProcessedItem(item));
            if step == self.epochs.batches_per_epoch {
                break;
            }
            if self.must_stop() {
                self.save_within(epoch, step)?;
                return Ok(Progressed::Interrupted);
            }
            if self.save_schedule.is_due_by_time() {
                self.save_within(epoch, step)?;
            }
        }
        if let Some(error) = self.epochs.loader_errors.take() {
            self.save_before(epoch, step)?;
            return Err(DataError::from(error).into());
        }
        self.processor.process_train(LearnerEvent::EndEpoch(epoch));
        Ok(Progressed::Completed)
    }

    /// Adds the statistics of a step to those of the epoch.
    fn add_step(&mut self, epoch: usize, finished: &FinishedStep) -> Result<(), TrainingError> {
        let step = self.epochs.statistics.steps() + 1;
        if finished.statistics.are_finite() {
            self.epochs
                .statistics
                .add(&finished.statistics, self.measure);
            if let Some(last) = self.last_step.as_mut().filter(|last| last.step == step) {
                last.statistics = Some(finished.statistics);
            }
            return Ok(());
        }
        let what = match finished.statistics.finite_embeddings {
            true => "the loss or a distance",
            false => "an embedding",
        };
        let what = what.to_string();
        let cause = Divergence::NotFinite { what };
        self.record_diverged(&DivergedStep {
            epoch,
            step,
            cause: cause.clone(),
            statistics: Some(finished.statistics),
            images: finished.batch.as_ref().map_or(&[], |batch| &batch.images),
            embeddings: finished
                .batch
                .as_ref()
                .map_or(&[], |batch| &batch.embeddings),
        });
        Err(self.diverged(epoch, Some(step), cause))
    }

    /// Evaluates the network, if due.
    fn evaluate(&mut self, epoch: usize, progress: &Progress) -> Result<Progressed, TrainingError> {
        let valid = self.valid.clone();
        let model = self.learner.model().valid();
        let mut batches = valid.iter();
        let mut iteration = 0;
        while let Some(batch) = batches.next() {
            iteration += 1;
            let batch_progress = batches.progress();
            let item = model.step(batch);
            let item = TrainingItem::new(
                item,
                batch_progress,
                progress.clone(),
                Some(iteration),
                None,
            );
            self.processor
                .process_valid(LearnerEvent::ProcessedItem(item));
            if self.epochs.group.is_single() && self.must_stop() {
                break;
            }
        }
        let EpochLoop {
            validation,
            loader_errors,
            ..
        } = &self.epochs;
        if let Some(error) = loader_errors.take() {
            self.save_within(epoch, self.epochs.batches_per_epoch)?;
            return Err(DataError::from(error).into());
        }
        if !self.epochs.group.is_single() {
            let causes = gather_skipped(&self.epochs.group, loader_errors.skipped());
            loader_errors.add_skipped(causes);
            let devices = model.devices();
            validation.complete::<B::InnerBackend>(epoch, &devices[0]);
        }
        if validation.is_not_finite(epoch) {
            let what = "an embedding of the evaluation".to_string();
            return Err(self.diverged(epoch, None, Divergence::NotFinite { what }));
        }
        if validation.is_due(epoch) && validation.measured(epoch).is_none() {
            if self.must_stop() {
                return Ok(Progressed::Interrupted);
            }
            let skipped = loader_errors.skipped();
            self.save_within(epoch, self.epochs.batches_per_epoch)?;
            return Err(no_readable_query(&skipped));
        }
        self.processor.process_valid(LearnerEvent::EndEpoch(epoch));
        Ok(Progressed::Completed)
    }

    /// Ends `epoch`. Returns the reason if it is the last one.
    fn end_epoch(
        &mut self,
        epoch: usize,
        since: Instant,
    ) -> Result<Option<EndReason>, TrainingError> {
        self.check_finite(epoch)?;
        check_parameters(&self.epochs.group, &self.learner.model().embedder, epoch)?;
        let EpochLoop {
            config,
            folder,
            validation,
            observer,
            statistics,
            history,
            events,
            ..
        } = &mut self.epochs;
        let statistics = std::mem::take(statistics);
        let (recall, map_at_r) = match validation.measured(epoch) {
            Some(measured) => (Some(measured.recall), measured.map_at_r),
            None => (None, None),
        };
        let measured = recall.is_some();
        if let Some(recall) = &recall {
            let before = self.queries.replace(recall.queries);
            if let Some(before) = before.filter(|&before| before > recall.queries) {
                tracing::warn!(
                    "epoch {epoch} was evaluated with {} instead of {before} queries, because images could \
                     not be read; its recall cannot be compared with that of earlier epochs",
                    recall.queries
                );
            }
        }
        let record = EpochRecord {
            epoch,
            training: statistics.means(),
            recall,
            map_at_r,
            seconds: since.elapsed().as_secs_f64(),
        };
        folder.append(&record)?;
        history.add(&record);
        events.add(&record, validation.take_inspection(epoch).as_ref());
        observer.event(TrainingEvent::EpochRecorded {
            record: &record,
            epochs: config.training.epochs,
        });
        match self.collapse.add(&statistics) {
            None => {}
            Some(Collapse::NothingMined) => tracing::warn!(
                "epoch {epoch}: the embeddings have collapsed: positives and negatives are all alike, with \
                 similarities near 1, so that multi-similarity mines next to nothing and its gradient is near \
                 0. Try loss.epsilon = 0.1, which mines more pairs, or no generated negatives \
                 (negatives.name = \"none\")"
            ),
            Some(Collapse::Point) => tracing::warn!(
                "epoch {epoch}: the embeddings have collapsed to a point: the distances of the hardest \
                 positives and negatives are near 0, and the loss is the margin. It is common with the \
                 hardest negatives and random weights. Try a smaller optimizer.learning_rate, a larger \
                 batch.images_per_class, loss.name = \"multi-similarity\", or loss.name = \"triplet\" with \
                 loss.triplets = \"semi-hard\""
            ),
        }

        let best = validation.best_epoch();
        let reason = if measured && should_stop(epoch, best, config.training.early_stopping) {
            Some(EndReason::EarlyStopping)
        } else {
            (epoch == config.training.epochs).then_some(EndReason::Epochs)
        };
        // The checkpoint of the best epoch may have been lost.
        let saved = folder.checkpoints();
        let best_saved = validation.best_epoch_of(|other| other == epoch || saved.contains(&other));
        let is_best = measured && best_saved == Some(epoch);
        if reason.is_some() || is_best || self.save_schedule.is_due_after(epoch, measured) {
            self.save(CheckpointPosition::end_of(epoch))?;
        }
        Ok(reason)
    }

    /// Whether a stop was requested; of any of the processes that train together, which all stop at the same step.
    fn must_stop(&self) -> bool {
        self.epochs
            .group
            .any(self.epochs.cancellation.is_cancelled())
    }
}
