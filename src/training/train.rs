//! Training a new run.

use std::path::Path;

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::TrainingError;
use super::checkpoint::CheckpointPosition;
use super::distributed::{PrivateFolder, check_group, check_same_run, share_state};
use super::features::{check_length, open_features, standardized};
use super::network::{RestoredState, embedder_config};
use super::observer::TrainingEvent;
use super::preflight::{
    Checks, DiskNeed, LargeK, check_batches, check_configuration, check_data, check_disk,
    check_objective, check_precision, check_recall, check_weights, checkpoint_bytes, names,
};
use super::resumable_keys::pinned;
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{NewRunFolder, RunFolder, RunRecord, SplitSummaries};
use super::tensorboard;
use super::training_loop::TrainingLoop;
use crate::backend::ComputeContext;
use crate::config::Config;
use crate::data::{self, OpenedDataset, PairSampler, Splits, Transform};
use crate::model::Embedder;
use crate::model::weights::Loaded;
use crate::progress::Monitor;
use crate::temporary_files;

/// Trains a new run in the folder `run`, or in the first free folder `artifacts/NAME-N`.
///
/// # Errors
///
/// If the configuration, the images, the weights or the run folder are invalid (the folder is removed
/// then), or if the training fails or is stopped (the run can be resumed then).
pub fn train<B: AutodiffBackend>(
    config: &Config,
    run: Option<&Path>,
    name: &str,
    context: &RunContext<B>,
) -> Result<TrainingSummary, TrainingError> {
    let RunContext {
        compute,
        cancellation,
        ..
    } = *context;
    let device = &compute.device;
    config.check()?;
    let mut config = config
        .clone()
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    let mut checks = Checks::default();
    check_configuration(&mut checks, &config);
    check_precision(&mut checks, &config, compute)?;
    let private = match context.group.is_main() {
        true => None,
        false => Some(PrivateFolder::create()?),
    };
    let shared = !context.group.is_single();
    let private_run = private.as_ref().map(PrivateFolder::run);
    let new = NewRunFolder::create(private_run.as_deref().or(run), name)?;
    // Another process may end this one.
    let unrecorded = shared.then(|| temporary_files::register(new.path()));
    context
        .observer
        .event(TrainingEvent::FolderCreated { path: new.path() });
    let message = format!("{} can be written", new.path().display());
    checks.passed(names::RUN_FOLDER, message);
    let mut opened = None;
    if let Some((with_length, features)) = open_features(&config, context)? {
        (config, opened) = (with_length, Some(features));
    }
    let config = &config;
    // Missing weights are reported before the images are read, which may take minutes.
    let mut network = embedder_config(config, compute);
    let loaded: Loaded<Embedder<B>> = match context.group.is_main() {
        true => {
            network = network.with_located_weights(cancellation, &*context.observer)?;
            network.init_pretrained(device)?
        }
        // Received from process 0.
        false => Loaded {
            module: network.init(device),
            notes: Vec::new(),
        },
    };
    if context.group.is_main() {
        check_weights(&mut checks, &network, &loaded);
    }
    let mut embedder = loaded.module;
    let need = DiskNeed {
        folder: new.path().to_path_buf(),
        checkpoint: match context.group.is_main() {
            true => checkpoint_bytes(&embedder, config),
            // Not written.
            false => 0,
        },
        keep: config.training.keep_checkpoints as u64,
        events: tensorboard::expected_bytes(config),
        ..DiskNeed::default()
    };
    let (splits, sampler) = open_data(config, opened, need, LargeK::Refused, &mut checks, context)?;
    embedder = standardized(embedder, &splits.train);

    let monitor = Monitor::new(cancellation, &*context.observer);
    let summaries = SplitSummaries::new(&splits, monitor)?;
    check_group(context, config, sampler.batch_len())?;
    check_same_run(&context.group, config, &summaries)?;
    let record = RunRecord {
        loop_dml: env!("CARGO_PKG_VERSION").to_string(),
        burn: burn_version(),
        backend: compute.name(),
        threads: threads(compute),
        processes: (!context.group.is_single()).then(|| context.group.size()),
        seed: config.training.seed,
        precision: config.training.precision,
        parameters: embedder.num_params(),
        weights: loaded.notes.iter().map(ToString::to_string).collect(),
        protocol: config.evaluation.protocol,
        train: summaries.train,
        validation: summaries.validation,
        validation_source: splits.validation_source,
        test: summaries.test,
        coverage: Some(sampler.coverage(1)),
        config: Some(pinned(config)),
        changes: Vec::new(),
        skipped: splits.train.skipped().to_vec(),
    };
    let mut folder = new.begin(config, &record)?;
    if !context.group.is_main() {
        folder = folder.of_other_process();
    }
    report_start(&folder, &record, &splits, &checks, None, context);
    let state = RestoredState::untrained(embedder, config, device);
    let training_loop = TrainingLoop {
        config,
        folder,
        state: share_state(&context.group, config, state)?,
        ended: None,
        splits,
        sampler,
        unrecorded,
    };
    let result = training_loop.run(context);
    // A run that fails before its first measurement leaves no folder, unless it was interrupted.
    if matches!(result, Ok(_) | Err(TrainingError::Cancelled { .. })) {
        new.keep();
    }
    result
}

/// Opens the splits, unless they are `opened`, and creates the sampler of the training batches. Makes the checks that need them, the
/// last ones before a training begins: of the data, the batches, the loss and, before images are cached, the
/// disk.
pub(super) fn open_data<B: AutodiffBackend>(
    config: &Config,
    opened: Option<OpenedDataset>,
    mut need: DiskNeed,
    large_k: LargeK,
    checks: &mut Checks,
    context: &RunContext<B>,
) -> Result<(Splits, PairSampler), TrainingError> {
    let RunContext {
        compute,
        cancellation,
        ref observer,
        ..
    } = *context;
    let (keys, progress) = (&config.data, &**observer);
    let transform = Transform::new(&keys.transform)?;
    let opened = match opened {
        Some(opened) => opened,
        None => data::open_uncached(keys, config.hold_out(), cancellation, progress)?,
    };
    check_length(config, &opened)?;
    let uncached = opened.uncached();
    check_data(checks, &uncached);
    check_recall(checks, config, &uncached, large_k)?;
    let labels = uncached.train.labels();
    let sampler = PairSampler::new(labels, &config.batch, config.training.seed)?;
    check_batches(checks, config, &uncached.train, &sampler);
    check_objective::<B>(checks, config, &compute.device)?;
    need.caches = opened.missing_caches(keys, &transform, cancellation, progress)?;
    check_disk(checks, &need)?;
    let splits = opened.cached(keys, &transform, cancellation, progress)?;
    Ok((splits, sampler))
}

/// Reports what is trained on which images, and warnings about the images.
pub(super) fn report_start<B: Backend>(
    folder: &RunFolder,
    record: &RunRecord,
    splits: &Splits,
    checks: &Checks,
    resumed: Option<CheckpointPosition>,
    context: &RunContext<B>,
) {
    context.observer.event(TrainingEvent::Checked {
        checks: checks.as_slice(),
    });
    for warning in &splits.warnings {
        tracing::warn!("{warning}");
    }
    let chosen = splits.validation.iter().chain([&splits.test]);
    for split in [&splits.train].into_iter().chain(chosen) {
        let causes: Vec<String> = split.skipped().iter().map(ToString::to_string).collect();
        if !causes.is_empty() {
            let causes = &causes;
            context
                .observer
                .event(TrainingEvent::ImagesSkipped { causes });
        }
    }
    context.observer.event(TrainingEvent::Started {
        folder,
        record,
        resumed,
    });
}

/// The number of threads that share a batch, if the CPU computes.
pub(super) fn threads<B: Backend>(compute: &ComputeContext<B>) -> Option<usize> {
    compute.in_process.then(rayon::current_num_threads)
}

/// The version of Burn in the lock file of this build.
pub(super) fn burn_version() -> String {
    let lock: toml::Table = toml::from_str(include_str!("../../Cargo.lock")).unwrap_or_default();
    lock.get("package")
        .and_then(|packages| packages.as_array())
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(|name| name.as_str()) == Some("burn"))
        .and_then(|package| package.get("version")?.as_str().map(String::from))
        .unwrap_or_else(|| "unknown".to_string())
}
