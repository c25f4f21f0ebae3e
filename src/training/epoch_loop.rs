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

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn_train::{
    EventProcessorTraining, InferenceStep, Learner, LearnerEvent, LearningComponentsMarker,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, ValidLoader,
};

use super::checkpoint::{CheckpointFile, CheckpointHeader, CheckpointPosition, CheckpointSchedule};
use super::collapse::CollapseDetector;
use super::diverged::DivergedStep;
use super::divergence::Divergence;
use super::epoch_statistics::EpochStatistics;
use super::evaluate::no_readable_query;
use super::finite::check_finite;
use super::metric_learner::MetricLearner;
use super::observer::{TrainingEvent, TrainingObserver};
use super::pending_statistics::PendingStatistics;
use super::resumable_keys::pinned;
use super::run_folder::{EndReason, EpochRecord, HistoryDigest, RunFolder};
use super::selection::should_stop;
use super::skipped_images::SkippedImages;
use super::step_statistics::{FinishedStep, StepStatistics};
use super::validation::Validation;
use super::{GroupedAdam, StepDecay, TrainingError};
use crate::cancellation::CancellationToken;
use crate::config::{Config, TrainingConfig};
use crate::data::{DataError, LoaderErrors, Split};
use crate::geometry::Measure;

/// The components of Burn's Learner.
type Components<B> = LearningComponentsMarker<B, StepDecay, MetricLearner<B>, GroupedAdam<B>>;
type Processor<B> = SupervisedTrainingEventProcessor<Components<B>>;

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is finished.
    Finished(EndReason),
    /// It was interrupted, and can be resumed.
    Interrupted,
}

/// The epochs that remain, and what they need.
pub(super) struct EpochLoop<B: AutodiffBackend> {
    pub(super) config: Config,
    pub(super) folder: RunFolder,
    /// The training images, to name those of a step that diverged.
    pub(super) split: Arc<Split>,
    pub(super) validation: Validation,
    /// Shares its state with the Learner's optimiser.
    pub(super) optimizer: GroupedAdam<B>,
    /// Shared with the Learner's module.
    pub(super) pending: PendingStatistics,
    pub(super) loader_errors: LoaderErrors,
    pub(super) cancellation: CancellationToken,
    pub(super) observer: Arc<dyn TrainingObserver>,
    /// The position that the training continues from.
    pub(super) start: CheckpointPosition,
    /// The statistics of the steps of an epoch that was interrupted.
    pub(super) statistics: EpochStatistics,
    /// The hash of the recorded epochs.
    pub(super) history: HistoryDigest,
    pub(super) batches_per_epoch: usize,
    pub(super) images_per_batch: usize,
}

/// What a training loop returns: its end, or why it failed.
pub(super) type LoopResult = Result<Ended, TrainingError>;

/// Runs an [`EpochLoop`] as a strategy of Burn's Learner, once.
pub(super) struct EpochStrategy<B: AutodiffBackend> {
    epochs: Mutex<Option<EpochLoop<B>>>,
    result: Arc<Mutex<Option<LoopResult>>>,
}

impl<B: AutodiffBackend> EpochStrategy<B> {
    /// Creates the strategy, and the place where it puts its result.
    pub(super) fn new(epochs: EpochLoop<B>) -> (Arc<Self>, Arc<Mutex<Option<LoopResult>>>) {
        let result = Arc::<Mutex<Option<LoopResult>>>::default();
        let strategy = Self {
            epochs: Mutex::new(Some(epochs)),
            result: result.clone(),
        };
        (Arc::new(strategy), result)
    }
}

impl<B: AutodiffBackend> SupervisedLearningStrategy<Components<B>> for EpochStrategy<B> {
    fn fit(
        &self,
        components: TrainingComponents<Components<B>>,
        learner: Learner<Components<B>>,
        train: TrainLoader<Components<B>>,
        valid: ValidLoader<Components<B>>,
        _starting_epoch: usize,
    ) -> (MetricLearner<B>, Processor<B>) {
        let epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        let epochs = { epochs }.take().expect("a training is launched once");
        let mut running = Running {
            save_schedule: CheckpointSchedule::new(epochs.config.training.checkpoint_every),
            measure: epochs.config.loss.kind.init().measure(),
            pinned: pinned(&epochs.config),
            collapse: CollapseDetector::new(&epochs.config),
            saved: Some(epochs.start),
            last_step: None,
            skipped: SkippedImages::default(),
            queries: epochs.validation.latest().map(|(_, recall)| recall.queries),
            epochs,
            learner,
            train,
            valid,
            processor: components.event_processor,
        };
        let result = running.run();
        let mut place = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(result);
        (running.learner.model(), running.processor)
    }
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
    fn run(&mut self) -> LoopResult {
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
            if self.is_cancelled() {
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
            if self.is_cancelled() {
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

    /// Writes a step that diverged into the run folder, for inspection.
    fn record_diverged(&self, step: &DivergedStep<'_>) {
        let EpochLoop { folder, split, .. } = &self.epochs;
        match step.write(folder, split) {
            Ok(path) => tracing::warn!("the step is recorded in {}", path.display()),
            Err(error) => tracing::warn!("the step could not be recorded: {error}"),
        }
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
            if self.is_cancelled() {
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
        if validation.is_not_finite(epoch) {
            let what = "an embedding of the evaluation".to_string();
            return Err(self.diverged(epoch, None, Divergence::NotFinite { what }));
        }
        if validation.is_due(epoch) && validation.recall(epoch).is_none() {
            if self.is_cancelled() {
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
        let EpochLoop {
            config,
            folder,
            validation,
            observer,
            statistics,
            history,
            images_per_batch,
            ..
        } = &mut self.epochs;
        let statistics = std::mem::take(statistics);
        let recall = validation.recall(epoch);
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
            seconds: since.elapsed().as_secs_f64(),
        };
        folder.append(&record)?;
        history.add(&record);
        observer.event(TrainingEvent::EpochRecorded {
            record: &record,
            epochs: config.training.epochs,
            images: statistics.steps() * *images_per_batch,
        });
        if self.collapse.add(&statistics) {
            tracing::warn!(
                "epoch {epoch}: the embeddings have collapsed to a point: the distances of the hardest \
                 positives and negatives are near 0, and the loss is the margin. It is common with the \
                 hardest negatives and random weights. Try a smaller optimizer.learning_rate, a larger \
                 batch.images_per_class, loss.name = \"multi-similarity\", or loss.name = \"triplet\" with \
                 loss.triplets = \"semi-hard\""
            );
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

    /// Saves a checkpoint after `step` steps of `epoch`, of which the next one failed.
    fn save_before(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        match step {
            0 if epoch > 1 => self.save(CheckpointPosition::end_of(epoch - 1)),
            0 => Ok(()),
            _ => self.save_within(epoch, step),
        }
    }

    /// Saves a checkpoint within `epoch`, after `step` steps.
    fn save_within(&mut self, epoch: usize, step: usize) -> Result<(), TrainingError> {
        if let Some(finished) = self.epochs.pending.flush() {
            self.add_step(epoch, &finished)?;
        }
        self.check_finite(epoch)?;
        self.save(CheckpointPosition::within(epoch, step))
    }

    /// Saves a checkpoint and deletes those that it supersedes, unless there is one of this position.
    fn save(&mut self, position: CheckpointPosition) -> Result<(), TrainingError> {
        if self.saved == Some(position) {
            return Ok(());
        }
        let EpochLoop {
            config,
            folder,
            validation,
            optimizer,
            statistics,
            history,
            ..
        } = &self.epochs;
        let mut header = CheckpointHeader::new(position, self.pinned.clone());
        header.statistics = (position.steps() > 0).then(|| statistics.clone());
        header.history = Some(history.value());
        let embedder = self.learner.model().embedder;
        folder.save(&CheckpointFile::from_state(header, &embedder, optimizer))?;
        self.saved = Some(position);
        self.save_schedule.saved();
        let EpochLoop {
            loader_errors,
            observer,
            ..
        } = &self.epochs;
        self.skipped.record(loader_errors, folder, &**observer)?;
        let TrainingConfig {
            keep_checkpoints,
            checkpoint_every,
            ..
        } = config.training;
        let is_scheduled = |epoch| {
            let measured = validation.recall(epoch).is_some();
            CheckpointSchedule::is_scheduled(checkpoint_every, epoch, measured)
        };
        let saved = folder.checkpoints();
        let best = validation.best_epoch_of(|epoch| saved.contains(&epoch));
        Ok(folder.prune(position, keep_checkpoints, best, is_scheduled)?)
    }

    fn check_finite(&self, epoch: usize) -> Result<(), TrainingError> {
        let checked = check_finite(&self.learner.model().embedder, &self.epochs.optimizer);
        checked.map_err(|cause| {
            if let Some(last) = &self.last_step {
                self.record_diverged(&DivergedStep {
                    epoch,
                    step: last.step,
                    cause: cause.clone(),
                    statistics: last.statistics,
                    images: &last.images,
                    embeddings: &[],
                });
            }
            self.diverged(epoch, None, cause)
        })
    }

    fn diverged(&self, epoch: usize, step: Option<usize>, cause: Divergence) -> TrainingError {
        let EpochLoop { folder, config, .. } = &self.epochs;
        TrainingError::Diverged {
            epoch,
            step,
            cause,
            learning_rate: config.optimizer.learning_rate,
            run: folder.path().to_path_buf(),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.epochs.cancellation.is_cancelled()
    }
}
