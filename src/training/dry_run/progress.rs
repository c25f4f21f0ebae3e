//! The checks of a dry run, one after the other.

use burn::tensor::backend::AutodiffBackend;

use super::{DryRun, Estimate, RemainingWork};
use crate::config::Config;
use crate::data::{self, OpenedDataset, PairSampler, Splits, Transform};
use crate::model::Embedder;
use crate::panic_capture;
use crate::progress::Monitor;
use crate::training::checkpoint::CheckpointPosition;
use crate::training::features::{check_length, standardized};
use crate::training::network::RestoredState;
use crate::training::preflight::{
    Checks, DiskNeed, LargeK, check_batches, check_data, check_disk, check_objective,
    check_precision, check_recall, checkpoint_bytes, measure_steps, names,
};
use crate::training::resume::check_splits;
use crate::training::run_folder::{RunFolder, RunRecord, SplitSummaries};
use crate::training::{RunContext, TrainingError, tensorboard};

/// A dry run at work.
pub(super) struct Progress<'a, B: AutodiffBackend> {
    pub(super) context: &'a RunContext<'a, B>,
    pub(super) checks: Checks,
}

impl<'a, B: AutodiffBackend> Progress<'a, B> {
    pub(super) fn new(context: &'a RunContext<'a, B>) -> Self {
        Self {
            context,
            checks: Checks::default(),
        }
    }

    pub(super) fn end(self, estimate: Estimate) -> DryRun {
        DryRun {
            checks: self.checks.into_vec(),
            estimate,
        }
    }

    /// Returns a value, or `None` with a failed check.
    ///
    /// # Errors
    /// If the dry run is cancelled.
    pub(super) fn attempt<T>(
        &mut self,
        name: &'static str,
        result: Result<T, impl Into<TrainingError>>,
    ) -> Result<Option<T>, TrainingError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.context.cancellation.is_cancelled() => {
                Err(TrainingError::Cancelled { run: None })
            }
            Err(error) => {
                self.checks.failed(name, error.into());
                Ok(None)
            }
        }
    }

    /// Makes the checks that new and resumed trainings share. The data are opened unless they are `opened`.
    /// `resumed` is the run, whose images must be those that it recorded.
    pub(super) fn finish(
        &mut self,
        config: &Config,
        state: Result<RestoredState<B>, Embedder<B>>,
        opened: Option<OpenedDataset>,
        mut need: DiskNeed,
        resumed: Option<(&RunFolder, &RunRecord)>,
    ) -> Result<Estimate, TrainingError> {
        let mut estimate = Estimate::default();
        let embedder = state
            .as_ref()
            .map_or_else(|embedder| embedder, |state| &state.embedder);
        need.checkpoint = checkpoint_bytes(embedder, config);
        need.events = tensorboard::expected_bytes(config);
        let precision = check_precision(&mut self.checks, config, self.context.compute);
        let precision = self.attempt(names::PRECISION, precision)?;
        let images = self.images(config, opened, &mut need, resumed)?;
        let objective =
            check_objective::<B>(&mut self.checks, config, &self.context.compute.device);
        let objective = self.attempt(names::LOSS, objective)?;
        let disk = check_disk(&mut self.checks, &need);
        self.attempt(names::DISK, disk)?;
        estimate.disk_bytes = Some(need.bytes());
        let ready = precision.and(objective);
        if let (Some((splits, sampler)), Ok(mut state), Some(())) = (images, state, ready) {
            if state.position == CheckpointPosition::end_of(0) {
                state.embedder = standardized(state.embedder, &splits.train);
            }
            self.steps(config, state, &splits, &sampler, &mut estimate)?;
        }
        Ok(estimate)
    }

    /// Opens the images, and makes the checks of them and of the batches.
    fn images(
        &mut self,
        config: &Config,
        opened: Option<OpenedDataset>,
        need: &mut DiskNeed,
        resumed: Option<(&RunFolder, &RunRecord)>,
    ) -> Result<Option<(Splits, PairSampler)>, TrainingError> {
        let RunContext {
            cancellation,
            ref observer,
            ..
        } = *self.context;
        let progress = &**observer;
        let monitor = Monitor::new(cancellation, progress);
        let opened = || -> Result<_, TrainingError> {
            let transform = Transform::new(&config.data.transform)?;
            let opened = match opened {
                Some(opened) => opened,
                None => {
                    data::open_uncached(&config.data, config.hold_out(), cancellation, progress)?
                }
            };
            check_length(config, &opened)?;
            let missing =
                opened.missing_caches(&config.data, &transform, cancellation, progress)?;
            let splits = match &missing {
                // Building caches would take minutes and space.
                Some(_) => opened.uncached(),
                None => opened.cached(&config.data, &transform, cancellation, progress)?,
            };
            if let Some((folder, record)) = resumed {
                let summaries = SplitSummaries::new(&splits, monitor)?;
                check_splits(folder, record, &summaries, config)?;
            }
            Ok((splits, missing))
        };
        let Some((splits, missing)) = self.attempt(names::DATA, opened())? else {
            return Ok(None);
        };
        need.caches = missing;
        for warning in &splits.warnings {
            tracing::warn!("{warning}");
        }
        check_data(&mut self.checks, &splits);
        let large_k = match resumed {
            Some(_) => LargeK::LeftOut,
            None => LargeK::Refused,
        };
        let recall = check_recall(&mut self.checks, config, &splits, large_k);
        self.attempt(names::RECALL, recall)?;
        let sampler = PairSampler::new(splits.train.labels(), &config.batch, config.training.seed);
        let Some(sampler) = self.attempt(names::BATCH, sampler)? else {
            return Ok(None);
        };
        check_batches(&mut self.checks, config, &splits.train, &sampler);
        Ok(Some((splits, sampler)))
    }

    /// Takes training steps, and adds what they show to the estimate.
    fn steps(
        &mut self,
        config: &Config,
        state: RestoredState<B>,
        splits: &Splits,
        sampler: &PairSampler,
        estimate: &mut Estimate,
    ) -> Result<(), TrainingError> {
        let position = state.position;
        let measure = || measure_steps(config, state, splits, sampler, self.context);
        // Backends report failures, such as too little memory, by panics.
        let measured = match panic_capture::catch_with_texts(measure) {
            Ok(measured) => measured,
            Err(message) => {
                self.checks.failed(names::STEP, message);
                return Ok(());
            }
        };
        let Some(measured) = self.attempt(names::STEP, measured)? else {
            return Ok(());
        };
        estimate.memory_bytes = measured.memory;
        let statistics = measured.first.statistics;
        let milliseconds = 1e3 * measured.step_seconds;
        if !statistics.are_finite() {
            self.checks.failed(
                names::STEP,
                "the loss or an embedding of the first batch is infinite or NaN; check the weights, data.mean, \
                 data.std and the keys of [loss]",
            );
            return Ok(());
        }
        self.checks.passed(
            names::STEP,
            format!(
                "loss {:.4}, {} of {} anchors active, {milliseconds:.0} ms per step",
                statistics.loss.mean, statistics.loss.active, statistics.loss.anchors
            ),
        );
        let steps = sampler.batches_per_epoch();
        let work = RemainingWork::new(config, position, steps, splits);
        let seconds = work.seconds(&measured);
        estimate.seconds = Some(seconds);
        estimate.seconds_per_epoch = Some(work.seconds_of_epochs(&measured) / work.epochs as f64);
        Ok(())
    }
}
