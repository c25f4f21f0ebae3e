//! Checks that all processes do the same.

use sha2::{Digest, Sha256};

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_store::ModuleSnapshot;

use crate::config::{Config, ConfigError};
use crate::distribution::ProcessGroup;
use crate::model::execution::is_taped;
use crate::model::{Embedder, Precision};
use crate::setting::SettingError;
use crate::training::resumable_keys::{first_difference, pinned};
use crate::training::run_folder::{SplitSummaries, SplitSummary};
use crate::training::{RunContext, TrainingError};

/// Checks that the processes of a group can share batches of `images` on their device.
///
/// # Errors
/// If there are more processes than images, or batch norms cannot be synchronised.
pub(in crate::training) fn check_group<B: AutodiffBackend>(
    context: &RunContext<B>,
    config: &Config,
    images: usize,
) -> Result<(), TrainingError> {
    let group = &context.group;
    if group.is_single() {
        return Ok(());
    }
    if group.size() > images {
        return Err(TrainingError::Config(ConfigError::from(
            SettingError::value(
                "batch.classes",
                config.batch.classes as i64,
                format!(
                    "a batch has {images} images, and {} processes share it; start fewer processes",
                    group.size()
                ),
            ),
        )));
    }
    if config.training.sync_batch_norm && !is_taped::<B>(context.compute.conv) {
        return Err(TrainingError::Config(ConfigError::from(
            SettingError::value(
                "training.sync_batch_norm",
                true,
                "batch norms cannot be synchronised with --fusion; leave out --fusion",
            ),
        )));
    }
    if config.training.sync_batch_norm && config.training.precision == Precision::F16 {
        // Each process scales its gradients by their size.
        return Err(TrainingError::Config(ConfigError::from(
            SettingError::value(
                "training.sync_batch_norm",
                true,
                "batch norms cannot be synchronised in f16; set training.precision to bf16 or f32",
            ),
        )));
    }
    Ok(())
}

/// Checks that every process has the configuration and the data of process 0. Paths, and other keys that change
/// neither batches nor gradients, may differ.
///
/// # Errors
/// In process 0: the first process that differs, and in what.
pub(in crate::training) fn check_same_run(
    group: &ProcessGroup,
    config: &Config,
    splits: &SplitSummaries,
) -> Result<(), TrainingError> {
    if group.is_single() {
        return Ok(());
    }
    let of_split = |split: Option<&SplitSummary>| {
        serde_json::to_string(&split).expect("a summary is plain data")
    };
    let facts = [
        ("the version", env!("CARGO_PKG_VERSION").to_string()),
        (CONFIGURATION, pinned(config)),
        (SCHEDULE, schedule(config)),
        (
            "the number format",
            format!("{:?}", config.training.precision),
        ),
        ("the set of training images", of_split(Some(&splits.train))),
        (
            "the set of validation images",
            of_split(splits.validation.as_ref()),
        ),
        ("the set of test images", of_split(Some(&splits.test))),
    ];
    check_same(group, config, &facts)
}

/// Checks that every process trains as long as process 0, before a finished run is left as it is.
///
/// # Errors
/// In process 0: the first process that differs.
pub(in crate::training) fn check_same_schedule(
    group: &ProcessGroup,
    config: &Config,
) -> Result<(), TrainingError> {
    match group.is_single() {
        true => Ok(()),
        false => check_same(group, config, &[(SCHEDULE, schedule(config))]),
    }
}

const CONFIGURATION: &str = "the configuration";
const SCHEDULE: &str = "the schedule of the training";

/// The keys that may change when a run is resumed, and that change what processes exchange.
fn schedule(config: &Config) -> String {
    let training = &config.training;
    format!(
        "{} epochs, {:?}, early stopping {:?}, gradient checkpointing {}",
        training.epochs, config.optimizer, training.early_stopping, training.gradient_checkpointing,
    )
}

/// Compares facts, each with its name, with those of process 0.
fn check_same(
    group: &ProcessGroup,
    config: &Config,
    facts: &[(&str, String)],
) -> Result<(), TrainingError> {
    let own = serde_json::to_vec(facts).expect("facts are plain data");
    let all = group.gather(&own);
    if !group.is_main() {
        return Ok(());
    }
    for (rank, other) in all.iter().enumerate() {
        let other: Vec<(String, String)> = serde_json::from_slice(other).unwrap_or_default();
        let difference = facts
            .iter()
            .zip(&other)
            .find(|(main, other)| main.1 != other.1);
        let Some(((what, _), (_, other))) = difference else {
            continue;
        };
        let detail = match first_difference(other, &pinned(config)) {
            Ok(Some((key, found, expected))) if *what == CONFIGURATION => {
                format!("{key} is {found}, and {expected} in process 0")
            }
            _ => format!("{what} is not that of process 0"),
        };
        return Err(TrainingError::Processes {
            process: group.name(rank),
            message: format!("{detail}; start all processes with the same files and arguments"),
        });
    }
    Ok(())
}

/// Checks that the network is the same in every process.
///
/// # Errors
/// The first process whose network differs from that of process 0.
pub(in crate::training) fn check_parameters<B: Backend>(
    group: &ProcessGroup,
    embedder: &Embedder<B>,
    epoch: usize,
) -> Result<(), TrainingError> {
    if group.is_single() {
        return Ok(());
    }
    let mut hash = Sha256::new();
    for tensor in embedder.collect(None, None, true) {
        let data = tensor.to_data().expect("the device returns its tensors");
        hash.update(data.as_bytes());
    }
    let digests = group.gather(&hash.finalize());
    match digests.iter().position(|digest| *digest != digests[0]) {
        None => Ok(()),
        Some(rank) => Err(TrainingError::Processes {
            process: group.name(rank),
            message: format!(
                "its network differs from that of process 0 after epoch {epoch}; use the same binary and the same \
                 kind of device in every process, and resume the run"
            ),
        }),
    }
}
