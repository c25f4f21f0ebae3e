//! The network of a run.

use burn::module::Module;
use burn::tensor::backend::Backend;

use super::checkpoint::read_record;
use super::metric_learner::MetricLearner;
use super::objective::Objective;
use super::run_folder::{RunFolder, RunFolderError};
use super::step_options::TrainStepSchedule;
use super::validation::{RetrievalProtocol, Validation};
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::EpochSchedule;
use crate::model::{Embedder, EmbedderConfig};

/// The network of a configuration, with the convolutions that are fast on `compute`.
pub(super) fn embedder_config<B: Backend>(
    config: &Config,
    compute: &ComputeContext<B>,
) -> EmbedderConfig {
    EmbedderConfig::from(&config.model)
        .with_algorithm(compute.conv)
        .with_seed(config.training.seed)
}

/// Loads the network of a run from the checkpoint of `epoch`.
///
/// # Errors
///
/// If the checkpoint is damaged or of another network.
pub fn load_embedder<B: Backend>(
    folder: &RunFolder,
    config: &Config,
    epoch: usize,
    compute: &ComputeContext<B>,
) -> Result<Embedder<B>, RunFolderError> {
    let path = folder.model(epoch);
    let validation = Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []);
    let learner = MetricLearner::new(
        embedder_config(config, compute).init(&compute.device),
        Objective::new(config),
        TrainStepSchedule::new(config),
        validation,
    );
    let record = read_record::<B, _>(path, &compute.device)
        .map_err(|error| error.with_advice("choose another with --checkpoint"))?;
    Ok(learner.load_record(record).embedder)
}
