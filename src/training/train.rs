//! Training a new run.

use std::path::Path;
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend, DeviceOps};

use super::TrainingError;
use super::evaluate::evaluate;
use super::network::embedder_config;
use super::observer::TrainingEvent;
use super::run_context::{RunContext, TrainingSummary};
use super::run_folder::{EpochRecord, RunFolder, RunRecord, SplitSummary};
use super::training_loop::TrainingLoop;
use crate::config::Config;
use crate::data::{self, PairSampler, Splits, Transform};
use crate::model::Embedder;

/// Trains a new run in the folder `run`, or in the first free folder `artifacts/NAME-N`.
///
/// # Errors
///
/// If the configuration, the images, the weights or the run folder are invalid (nothing is written
/// then), or the training is stopped.
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
    let config = &config
        .clone()
        .with_absolute_root()
        .map_err(TrainingError::WorkingDirectory)?;
    if let Some(run) = run {
        RunFolder::check_free(run)?;
    }
    // Missing weights are reported before the images are read, which may take minutes.
    let network =
        embedder_config(config, compute).with_located_weights(cancellation, &*context.observer)?;
    let (splits, sampler) = open_data(config, context)?;

    let embedder: Embedder<B> = network.init_pretrained(device)?;
    let record = RunRecord {
        loop_dml: env!("CARGO_PKG_VERSION").to_string(),
        burn: burn_version(),
        backend: format!("{} {device:?}", B::name(device)),
        threads: compute.in_process.then(rayon::current_num_threads),
        seed: config.training.seed,
        parameters: embedder.num_params(),
        train: SplitSummary::new(&splits.train),
        test: SplitSummary::new(&splits.test),
        coverage: Some(sampler.coverage(1)),
    };

    let since = Instant::now();
    let (untrained, _) = evaluate(
        &embedder.valid(),
        config,
        &splits.test,
        device.inner(),
        cancellation,
        &*context.observer,
    )?;
    let folder = RunFolder::create(run, name, config, &record)?;
    let untrained = EpochRecord {
        epoch: 0,
        training: Default::default(),
        recall: Some(untrained),
        seconds: since.elapsed().as_secs_f64(),
    };
    folder.append(&untrained)?;
    report_start(&folder, &record, &splits, None, context);
    context.observer.event(TrainingEvent::EpochRecorded {
        record: &untrained,
        epochs: config.training.epochs,
    });
    let training_loop = TrainingLoop {
        config,
        folder,
        embedder,
        splits,
        sampler,
        resumed: None,
    };
    training_loop.run(context)
}

/// Opens both splits, and creates the sampler of the training batches.
pub(super) fn open_data<B: Backend>(
    config: &Config,
    context: &RunContext<B>,
) -> Result<(Splits, PairSampler), TrainingError> {
    let transform = Transform::new(&config.data.transform)?;
    let observer = &*context.observer;
    let splits = data::open(
        &config.data,
        config.hold_out(),
        &transform,
        context.cancellation,
        observer,
    )?;
    let sampler = PairSampler::new(splits.train.labels(), &config.batch, config.training.seed)?;
    Ok((splits, sampler))
}

/// Reports what is trained on which images, and warnings about the images.
pub(super) fn report_start<B: Backend>(
    folder: &RunFolder,
    record: &RunRecord,
    splits: &Splits,
    resumed: Option<usize>,
    context: &RunContext<B>,
) {
    for warning in &splits.warnings {
        tracing::warn!("{warning}");
    }
    for split in [&splits.train, &splits.test] {
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

/// The version of Burn in the lock file of this build.
fn burn_version() -> String {
    let lock: toml::Table = toml::from_str(include_str!("../../Cargo.lock")).unwrap_or_default();
    lock.get("package")
        .and_then(|packages| packages.as_array())
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(|name| name.as_str()) == Some("burn"))
        .and_then(|package| package.get("version")?.as_str().map(String::from))
        .unwrap_or_else(|| "unknown".to_string())
}
