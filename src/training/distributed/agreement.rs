//! Checks that all processes do the same.

use sha2::{Digest, Sha256};

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_store::ModuleSnapshot;

use crate::config::{Config, ConfigError};
use crate::distribution::ProcessGroup;
use crate::model::Embedder;
use crate::model::execution::is_taped;
use crate::setting::SettingError;
use crate::training::resumable_keys::{first_difference, pinned};
use crate::training::run_folder::RunRecord;
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
    record: &RunRecord,
) -> Result<(), TrainingError> {
    if group.is_single() {
        return Ok(());
    }
    let training = &config.training;
    let schedule = format!(
        "{} epochs, {:?}, early stopping {:?}",
        training.epochs, config.optimizer, training.early_stopping
    );
    let splits = [
        ("training", Some(&record.train)),
        ("validation", record.validation.as_ref()),
        ("test", Some(&record.test)),
    ];
    let splits = splits.map(|(name, split)| {
        let text = serde_json::to_string(&split).expect("a summary is plain data");
        (format!("the {name} images"), text)
    });
    let version = format!("loop-dml {}", record.loop_dml);
    let mut facts = vec![
        ("the version".to_string(), version),
        ("the configuration".to_string(), pinned(config)),
        ("the schedule of the training".to_string(), schedule),
        (
            "the number format".to_string(),
            format!("{:?}", record.precision),
        ),
    ];
    facts.extend(splits);
    let own = serde_json::to_vec(&facts).expect("facts are plain data");
    let all = group.gather(&own);
    if !group.is_main() {
        return Ok(());
    }
    for (rank, other) in all.iter().enumerate() {
        let other: Vec<(String, String)> = serde_json::from_slice(other).unwrap_or_default();
        let difference = facts.iter().zip(&other).find(|(main, other)| main != other);
        let Some(((what, main), (_, other))) = difference else {
            continue;
        };
        let detail = match first_difference(other, main) {
            Ok(Some((key, found, expected))) if what == "the configuration" => {
                format!("{key} is {found}, and {expected} in process 0")
            }
            _ => format!("{what} are not those of process 0"),
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
