//! Training with Burn's Learner: the step, metrics, checkpoints, and the run folder.
//!
//! [`train()`] starts a run and [`resume()`] continues one; [`dry_run()`] checks whether they can. [`MetricLearner`] is the module that the Learner
//! trains, a loss over embeddings ([`Objective`]) is what it minimises, and [`GroupedAdam`] with
//! [`StepDecay`] updates its parameters. A [`TrainingObserver`] receives the epochs.

mod adam;
pub mod checkpoint;
mod collapse;
mod distributed;
mod diverged;
mod divergence;
mod dry_run;
mod epoch_loop;
mod epoch_statistics;
mod error;
mod evaluate;
mod features;
mod finite;
mod guarded_renderer;
mod host_record;
mod measured;
mod metric_learner;
mod metrics;
mod network;
mod noop_logger;
mod objective;
mod observer;
mod optimizer;
mod pending_statistics;
mod preflight;
mod resumable_keys;
mod resume;
mod retrieval_measure;
mod run_context;
mod run_folder;
mod schedule;
mod selection;
mod skipped_images;
mod step;
mod step_options;
mod step_statistics;
mod tensorboard;
mod train;
mod training_loop;
mod validation;

pub use checkpoint::CheckpointPosition;
pub use divergence::Divergence;
pub use dry_run::{DryRun, Estimate, dry_run, dry_run_resume};
pub use epoch_statistics::EpochStatistics;
pub use error::TrainingError;
pub(crate) use evaluate::no_readable_query;
pub use evaluate::{embed_split, evaluate, measure};
pub use features::check_feature_dim;
pub use finite::check_finite;
pub use host_record::HostRecord;
pub use measured::{Measured, Score};
pub use metric_learner::{MetricLearner, MetricLearnerRecord};
pub use metrics::{AnchorLossMetric, RetrievalMetric, Statistic, StatisticMetric};
pub use network::{load_checkpoint, load_embedder};
pub use objective::Objective;
pub use observer::{RendererContext, TrainingEvent, TrainingObserver};
pub use optimizer::GroupedAdam;
pub use pending_statistics::PendingStatistics;
pub use preflight::{Check, CheckOutcome};
pub use resume::{resume, resume_with_main};
pub use retrieval_measure::RetrievalMeasure;
pub use run_context::{RunContext, TrainingSummary};
pub use run_folder::{
    Checkpoint, ConfigChange, EndReason, EpochRecord, NewRunFolder, RunFolder, RunFolderError,
    RunRecord, RunResult, SplitSummary,
};
pub use schedule::StepDecay;
pub use step::{FinishedSteps, ForwardPass, Validated};
pub use step_options::TrainStepSchedule;
pub use step_statistics::{DivergedBatch, FinishedStep, StepStatistics};
pub use train::train;
pub use validation::{RetrievalProtocol, SplitEmbeddings, Validation};
