//! What a training loop needs, and its place in Burn's Learner.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::backend::AutodiffBackend;
use burn_train::{
    Learner, LearningComponentsMarker, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, ValidLoader,
};

use super::Running;
use crate::cancellation::CancellationToken;
use crate::config::Config;
use crate::data::{LoaderErrors, Split};
use crate::distribution::ProcessGroup;
use crate::training::checkpoint::CheckpointPosition;
use crate::training::epoch_statistics::EpochStatistics;
use crate::training::metric_learner::MetricLearner;
use crate::training::observer::TrainingObserver;
use crate::training::pending_statistics::PendingStatistics;
use crate::training::run_folder::{EndReason, HistoryDigest, RunFolder};
use crate::training::tensorboard::EventLog;
use crate::training::validation::Validation;
use crate::training::{GroupedAdam, StepDecay, TrainingError};

/// The components of Burn's Learner.
pub(super) type Components<B> =
    LearningComponentsMarker<B, StepDecay, MetricLearner<B>, GroupedAdam<B>>;
pub(super) type Processor<B> = SupervisedTrainingEventProcessor<Components<B>>;

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::training) enum Ended {
    /// It is finished.
    Finished(EndReason),
    /// It was interrupted, and can be resumed.
    Interrupted,
}

/// The epochs that remain, and what they need.
pub(in crate::training) struct EpochLoop<B: AutodiffBackend> {
    pub(in crate::training) config: Config,
    pub(in crate::training) folder: RunFolder,
    /// The training images, to name those of a step that diverged.
    pub(in crate::training) split: Arc<Split>,
    pub(in crate::training) validation: Validation,
    /// Shares its state with the Learner's optimiser.
    pub(in crate::training) optimizer: GroupedAdam<B>,
    /// Shared with the Learner's module.
    pub(in crate::training) pending: PendingStatistics,
    pub(in crate::training) loader_errors: LoaderErrors,
    pub(in crate::training) cancellation: CancellationToken,
    pub(in crate::training) observer: Arc<dyn TrainingObserver>,
    /// The position that the training continues from.
    pub(in crate::training) start: CheckpointPosition,
    /// The statistics of the steps of an epoch that was interrupted.
    pub(in crate::training) statistics: EpochStatistics,
    /// The hash of the recorded epochs.
    pub(in crate::training) history: HistoryDigest,
    /// The recorded epochs for TensorBoard.
    pub(in crate::training) events: EventLog,
    pub(in crate::training) batches_per_epoch: usize,
    /// The processes that train together.
    pub(in crate::training) group: ProcessGroup,
}

/// What a training loop returns: its end, or why it failed.
pub(in crate::training) type LoopResult = Result<Ended, TrainingError>;

/// Runs an [`EpochLoop`] as a strategy of Burn's Learner, once.
pub(in crate::training) struct EpochStrategy<B: AutodiffBackend> {
    epochs: Mutex<Option<EpochLoop<B>>>,
    result: Arc<Mutex<Option<LoopResult>>>,
}

impl<B: AutodiffBackend> EpochStrategy<B> {
    /// Creates the strategy, and the place where it puts its result.
    pub(in crate::training) fn new(
        epochs: EpochLoop<B>,
    ) -> (Arc<Self>, Arc<Mutex<Option<LoopResult>>>) {
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
        let mut running = Running::new(epochs, learner, train, valid, components.event_processor);
        let result = running.run();
        let mut place = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(result);
        running.into_parts()
    }
}
