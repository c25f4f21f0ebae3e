//! The checkpoints of versions 0.1 and 0.2: three files of Burn's named MessagePack for each epoch.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::Optimizer;
use burn::record::{FullPrecisionSettings, NamedMpkFileRecorder, Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_store::ModuleSnapshot;

use crate::model::Embedder;
use crate::training::GroupedAdam;
use crate::training::metric_learner::MetricLearner;

/// The parts of a checkpoint, each a file `PART-EPOCH.mpk`.
const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The epochs with all three files in the folder `checkpoints`.
pub(in crate::training) fn epochs(checkpoints: &Path) -> Vec<usize> {
    let entries = fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let epochs = names.filter_map(|name| -> Option<usize> {
        let number = name.strip_prefix("model-")?.strip_suffix(".mpk")?;
        number.parse().ok()
    });
    let complete = |epoch: &usize| files(checkpoints, *epoch).iter().all(|file| file.is_file());
    let mut epochs: Vec<usize> = epochs.filter(complete).collect();
    epochs.sort_unstable();
    epochs
}

/// The files of the checkpoint of `epoch`.
pub(in crate::training) fn files(checkpoints: &Path, epoch: usize) -> [PathBuf; 3] {
    PARTS.map(|part| checkpoints.join(format!("{part}-{epoch}.mpk")))
}

/// Loads the network of `epoch`.
///
/// # Errors
/// The reason why the file is not a checkpoint of such a network.
pub(in crate::training) fn load_network<B: Backend>(
    checkpoints: &Path,
    epoch: usize,
    learner: MetricLearner<B>,
) -> Result<Embedder<B>, String> {
    let [model, ..] = files(checkpoints, epoch);
    let shapes = |embedder: &Embedder<B>| -> Vec<(String, Vec<usize>)> {
        let tensors = embedder.collect(None, None, true).into_iter();
        tensors
            .map(|tensor| (tensor.full_path(), tensor.shape.to_vec()))
            .collect()
    };
    let expected = shapes(&learner.embedder);
    let device = learner.embedder.head.weight.device();
    let record: <MetricLearner<B> as Module<B>>::Record = read::<B, _>(&model, &device)?;
    let embedder = learner.load_record(record).embedder;
    if shapes(&embedder) != expected {
        return Err("it belongs to another network".to_string());
    }
    Ok(embedder)
}

/// Loads the state of the optimiser of `epoch`. The file of the schedule only has the number of steps,
/// which follows from the epoch.
///
/// # Errors
/// The reason why the file is not part of a checkpoint.
pub(in crate::training) fn load_optimizer<B: AutodiffBackend>(
    checkpoints: &Path,
    epoch: usize,
    optimizer: GroupedAdam<B>,
    device: &B::Device,
) -> Result<GroupedAdam<B>, String> {
    let [_, file, _] = files(checkpoints, epoch);
    let record: <GroupedAdam<B> as Optimizer<MetricLearner<B>, B>>::Record =
        read::<B, _>(&file, device)?;
    Ok(optimizer.load_record(record))
}

fn read<B: Backend, R: Record<B>>(path: &Path, device: &B::Device) -> Result<R, String> {
    let recorder = NamedMpkFileRecorder::<FullPrecisionSettings>::default();
    Recorder::<B>::load(&recorder, path.with_extension(""), device).map_err(|error| {
        tracing::debug!("{}: {error}", path.display());
        "it is truncated, or belongs to another network".to_string()
    })
}
