//! Training with Burn's Learner: steps, metrics, checkpoints, and the run folder they go into.

mod checkpoints;
mod epoch_log;
mod exporting;
mod host_record;
mod measuring;
mod metrics;
mod notices;
mod optimizer;
mod regime;
mod resume;
mod run_folder;
mod schedule;
mod session;
mod silent;
mod stop;
mod trainee;
mod unread;
mod validation;

pub use checkpoints::{CheckpointRecorder, LastAndBest, Patience};
pub use epoch_log::{EpochLog, epoch_line};
pub use exporting::export;
pub use host_record::HostRecord;
pub use measuring::{embedder_of, measure};
pub use metrics::{AnchorLossMetric, RecallMetric, Statistic, StatisticMetric};
pub use notices::tell_skipped;
pub use optimizer::TwoRateAdam;
pub use regime::Regime;
pub use resume::resume;
pub use run_folder::{Checkpoint, EpochRecord, RunFolder, RunFolderError, RunRecord, SplitSummary};
pub use schedule::StepDecay;
pub use session::{Context, Display, Outcome, train};
pub use stop::Stop;
pub use trainee::{
    FinishedSteps, Objective, PendingStep, StepStatistics, Trainee, TraineeRecord, Validated,
};
pub use unread::UnreadStatistics;
pub use validation::{Protocol, SplitEmbeddings, Validation};
