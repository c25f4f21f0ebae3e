//! Training with Burn's Learner: steps, metrics, checkpoints, and the run folder they go into.

mod checkpoints;
mod epoch_log;
mod error;
mod failure;
mod host_record;
mod measure;
mod metric_learner;
mod metrics;
mod noop_renderer;
mod observer;
mod optimizer;
mod pending_statistics;
mod resume;
mod run_folder;
mod schedule;
mod step_options;
mod training_loop;
mod validation;

pub use checkpoints::{CheckpointRecorder, CheckpointRetention, EarlyStopping};
pub use epoch_log::EpochLog;
pub use error::TrainingError;
pub use failure::TrainingFailure;
pub use host_record::HostRecord;
pub use measure::{load_embedder, measure};
pub use metric_learner::{
    FinishedSteps, ForwardPass, MetricLearner, MetricLearnerRecord, Objective, StepStatistics,
    Validated,
};
pub use metrics::{AnchorLossMetric, RecallMetric, Statistic, StatisticMetric};
pub use observer::{Display, TrainingEvent, TrainingObserver};
pub use optimizer::GroupedAdam;
pub use pending_statistics::PendingStatistics;
pub use resume::resume;
pub use run_folder::{Checkpoint, EpochRecord, RunFolder, RunFolderError, RunRecord, SplitSummary};
pub use schedule::StepDecay;
pub use step_options::TrainStepSchedule;
pub use training_loop::{RunContext, TrainingSummary, train};
pub use validation::{Protocol, SplitEmbeddings, Validation};
