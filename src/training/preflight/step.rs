//! The measurement of training steps and of the embedding of a batch, on copies of everything that
//! training changes.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_train::Learner;

use crate::config::Config;
use crate::data::{
    DataError, EpochSchedule, ImageBatch, LoaderErrors, PairSampler, Split, Splits, TrainLoader,
    Transform,
};
use crate::model::Embedder;
use crate::process_memory::{peak_mib, reset_peak};
use crate::training::evaluate::{no_readable_query, split_loader};
use crate::training::network::RestoredState;
use crate::training::step_statistics::FinishedStep;
use crate::training::{
    MetricLearner, Objective, RetrievalProtocol, RunContext, StepDecay, TrainStepSchedule,
    TrainingError, Validation,
};

/// Steps that are measured after the first one, whose time includes the start of the workers and, on a
/// GPU, the compilation of kernels.
const STEPS: usize = 3;
/// Seconds after which no further step is measured.
const ENOUGH_SECONDS: f64 = 2.0;

/// The measurements.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::training) struct MeasuredSteps {
    /// Seconds of a training step, with waiting for its batch.
    pub(in crate::training) step_seconds: f64,
    /// Seconds to embed an image for an evaluation.
    pub(in crate::training) embedding_seconds: f64,
    /// Peak of the memory of the process in bytes; `None` if it is unknown, or if the device has separate
    /// memory.
    pub(in crate::training) memory: Option<u64>,
    /// The statistics of the first step.
    pub(in crate::training) first: FinishedStep,
}

/// Takes training steps from `state`, and embeds a batch of the split that chooses the best epoch.
///
/// # Errors
/// If an image cannot be read, or the work is cancelled.
pub(in crate::training) fn measure_steps<B: AutodiffBackend>(
    config: &Config,
    state: RestoredState<B>,
    splits: &Splits,
    sampler: &PairSampler,
    context: &RunContext<B>,
) -> Result<MeasuredSteps, TrainingError> {
    reset_peak();
    let embedder = state.embedder.valid();
    let (step_seconds, first) = take_steps(config, state, splits, sampler, context)?;
    let choosing = splits.validation.as_ref().unwrap_or(&splits.test);
    let embedding_seconds = embed_batch(config, &embedder, choosing, context)?;
    let memory = context.compute.in_process.then(peak_mib).flatten();
    Ok(MeasuredSteps {
        step_seconds,
        embedding_seconds,
        memory: memory.map(|mib| (mib * 1024.0 * 1024.0) as u64),
        first,
    })
}

/// Takes steps as the training would. Returns the seconds of a step, and the first one's statistics.
fn take_steps<B: AutodiffBackend>(
    config: &Config,
    state: RestoredState<B>,
    splits: &Splits,
    sampler: &PairSampler,
    context: &RunContext<B>,
) -> Result<(f64, FinishedStep), TrainingError> {
    let device = &context.compute.device;
    let errors = LoaderErrors::default();
    // Batches of the last epoch, where no layer is frozen any more if some are at first.
    let epoch = config.training.epochs;
    let loader = TrainLoader::<B>::new(
        Arc::new(splits.train.clone()),
        sampler.clone(),
        Transform::new(&config.data.transform)?,
        // An epoch may have a single batch.
        epoch..epoch + STEPS + 1,
        &config.data.loading,
        errors.clone(),
        context.compute.image_upload(),
    );
    let module = MetricLearner::new(
        state.embedder,
        Objective::new(config),
        TrainStepSchedule::new(config),
        Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []),
    );
    let pending = module.pending.clone();
    let steps_per_epoch = sampler.batches_per_epoch();
    let steps = state.position.complete_epochs() * steps_per_epoch + state.position.steps();
    let rate = StepDecay::new(&config.optimizer, steps_per_epoch).after(steps);
    let mut learner = Learner::new(module, state.optimizer, rate);

    let start = Instant::now();
    let mut since = start;
    let mut times = Vec::with_capacity(STEPS + 1);
    let mut finished = Vec::new();
    let mut batches = loader.iter();
    while times.len() <= STEPS {
        let batch = match batches.next() {
            Some(batch) => batch,
            None => {
                batches = loader.iter();
                batches.next().ok_or_else(|| failure(&errors))?
            }
        };
        learner.lr_step();
        let output = learner.train_step(batch);
        learner.optimizer_step(output.grads);
        finished.extend(output.item.0);
        synchronise::<B>(device);
        times.push(since.elapsed().as_secs_f64());
        since = Instant::now();
        if context.cancellation.is_cancelled() {
            return Err(TrainingError::Cancelled { run: None });
        }
        // On a GPU, the first step may take minutes, and the second milliseconds.
        let start_matters = !context.compute.in_process && times.len() == 1;
        if !start_matters && start.elapsed().as_secs_f64() > ENOUGH_SECONDS {
            break;
        }
    }
    finished.extend(pending.flush());
    let first = finished.into_iter().next().expect("a step was taken");
    let measured = match &times[..] {
        [only] => std::slice::from_ref(only),
        [_, others @ ..] => others,
        [] => unreachable!("a step was taken"),
    };
    Ok((measured.iter().sum::<f64>() / measured.len() as f64, first))
}

/// Embeds the first batch of the split that chooses the best epoch. Returns the seconds of an image. Loading
/// and embedding overlap in an evaluation, so the slower of the two counts.
fn embed_batch<B: AutodiffBackend>(
    config: &Config,
    embedder: &Embedder<B::InnerBackend>,
    choosing: &Split,
    context: &RunContext<B>,
) -> Result<f64, TrainingError> {
    let compute = context.compute.without_gradients();
    let errors = LoaderErrors::default();
    let loader = split_loader::<B::InnerBackend>(
        config,
        choosing.clone(),
        EpochSchedule::Always,
        errors.clone(),
        &compute,
    )?;
    let since = Instant::now();
    let batch = loader.iter().next().ok_or_else(|| failure(&errors))?;
    let loading = since.elapsed().as_secs_f64();
    let images = batch.indices.len();
    let embed = |batch: &ImageBatch<B::InnerBackend>| {
        let since = Instant::now();
        let mirror = config.evaluation.mirror;
        let embeddings =
            embedder.forward_in_parts(batch.images.clone(), mirror, |_| {
                match context.cancellation.is_cancelled() {
                    true => Err(TrainingError::Cancelled { run: None }),
                    false => Ok(()),
                }
            })?;
        drop(embeddings.into_data());
        Ok::<_, TrainingError>(since.elapsed().as_secs_f64())
    };
    let mut embedding = embed(&batch)?;
    if !context.compute.in_process {
        // The first time, kernels are compiled.
        embedding = embed(&batch)?;
    }
    Ok(loading.max(embedding) / images as f64)
}

/// The error that ended the batches of a loader.
fn failure(errors: &LoaderErrors) -> TrainingError {
    match errors.take() {
        Some(error) => DataError::from(error).into(),
        None => no_readable_query(&errors.skipped()),
    }
}

fn synchronise<B: Backend>(device: &B::Device) {
    B::sync(device).expect("a device that works can be synchronised");
}
