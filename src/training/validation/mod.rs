//! The evaluation during training, on the split that chooses the best epoch.

mod inspection;
mod pair_sample;
mod protocol;
mod split_embeddings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::backend::Backend;

#[cfg(test)]
pub(super) use inspection::Near;
pub(super) use inspection::{Inspection, Inspector, WORST_QUERIES, WorstQuery};
pub use protocol::RetrievalProtocol;
pub(super) use split_embeddings::EmbeddingReader;
pub use split_embeddings::SplitEmbeddings;

use super::measured::Measured;
use super::selection::best_epoch;
use crate::cancellation::CancellationToken;
use crate::data::{EpochSchedule, ImageBatch};
use crate::distribution::ProcessGroup;
use crate::model::Embedder;
use crate::progress::{Monitor, NoProgress, Unit};

/// The measures of the epochs that were evaluated. Clones share them: the validation step writes them;
/// checkpointing, early stopping, the dashboard and the log read them.
#[derive(Clone)]
pub struct Validation {
    protocol: Arc<RetrievalProtocol>,
    schedule: EpochSchedule,
    /// Stops an evaluation.
    cancellation: CancellationToken,
    /// The processes that share the split.
    group: ProcessGroup,
    /// The seed of the pairs that are inspected; `None` if evaluations are not inspected.
    inspected: Option<u64>,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validation")
            .field("protocol", &self.protocol)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// The epoch of the current or last evaluation.
    epoch: usize,
    reader: EmbeddingReader,
    /// Whether an embedding of the last evaluation was not finite.
    not_finite: bool,
    measured: BTreeMap<usize, Measured>,
    /// What was seen in the last evaluation.
    inspection: Option<Inspection>,
}

impl State {
    /// Begins the evaluation after `epoch`, unless it has begun.
    fn begin(&mut self, epoch: usize) {
        if self.epoch != epoch {
            // An interrupted evaluation may have left embeddings.
            self.reader = EmbeddingReader::default();
            self.not_finite = false;
            self.epoch = epoch;
        }
    }
}

impl Validation {
    /// Creates a validation by `protocol` after the epochs of `schedule`. `known` are earlier measures:
    /// those of epoch 0, or those before the run was resumed.
    pub fn new(
        protocol: RetrievalProtocol,
        schedule: EpochSchedule,
        known: impl IntoIterator<Item = (usize, Measured)>,
    ) -> Self {
        let state = State {
            measured: known.into_iter().collect(),
            ..Default::default()
        };
        Self {
            protocol: Arc::new(protocol),
            schedule,
            cancellation: CancellationToken::new(),
            group: ProcessGroup::single(),
            inspected: None,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Sets the request that stops an evaluation within a second. A stopped evaluation has no measures.
    pub fn cancelled_by(self, cancellation: &CancellationToken) -> Self {
        Self {
            cancellation: cancellation.clone(),
            ..self
        }
    }

    /// Shares the split with the processes of `group`, each of which must call [`complete`](Self::complete) after its
    /// batches. A stop is then the caller's to notice, so that all processes stop together.
    pub(super) fn shared_by(self, group: &ProcessGroup) -> Self {
        let cancellation = match group.is_single() {
            true => self.cancellation,
            false => CancellationToken::new(),
        };
        Self {
            cancellation,
            group: group.clone(),
            ..self
        }
    }

    /// Inspects evaluations with pairs that are drawn by this seed; `None` inspects none.
    pub(super) fn inspected(self, seed: Option<u64>) -> Self {
        Self {
            inspected: seed,
            ..self
        }
    }

    /// What was seen in the evaluation of `epoch`, once.
    pub(super) fn take_inspection(&self, epoch: usize) -> Option<Inspection> {
        let mut state = self.state();
        let inspection = state.inspection.take();
        inspection.filter(|_| state.epoch == epoch)
    }

    /// Whether an evaluation is due after `epoch`.
    pub fn is_due(&self, epoch: usize) -> bool {
        self.schedule.includes(epoch)
    }

    /// Whether an embedding of the evaluation of `epoch` was infinite or NaN. Then there are no measures:
    /// queries with NaN have no nearest neighbour.
    pub fn is_not_finite(&self, epoch: usize) -> bool {
        let state = self.state();
        state.epoch == epoch && state.not_finite
    }

    /// Embeds a batch of the split. After the last batch, computes the measures, unless processes share the split.
    pub fn step<B: Backend>(&self, embedder: &Embedder<B>, batch: ImageBatch<B>) {
        let (epoch, last, device) = (batch.epoch, batch.last, batch.images.device());
        let mut state = self.state();
        state.begin(epoch);
        let monitor = Monitor::new(&self.cancellation, &NoProgress);
        let task = monitor.task("embedding", None, Unit::Images);
        let added = state.reader.add(embedder, &self.protocol, batch, &task);
        if added.is_ok() && last && self.group.is_single() {
            self.measure::<B>(&mut state, &device);
        }
    }

    /// Completes the evaluation after `epoch` of a split that processes share: gathers the embeddings, and computes the
    /// measures. Does nothing if no evaluation is due, or if this process is alone.
    pub(super) fn complete<B: Backend>(&self, epoch: usize, device: &B::Device) {
        if self.group.is_single() || !self.is_due(epoch) {
            return;
        }
        let mut state = self.state();
        state.begin(epoch);
        self.measure::<B>(&mut state, device);
    }

    fn measure<B: Backend>(&self, state: &mut State, device: &B::Device) {
        let epoch = state.epoch;
        let embeddings = std::mem::take(&mut state.reader).finish();
        let embeddings = embeddings.gathered(&self.group);
        if !embeddings.are_finite() {
            state.not_finite = true;
            return;
        }
        if embeddings.is_empty() {
            return;
        }
        let before = state.measured.range(..epoch);
        let inspector = self.inspected.map(|seed| Inspector {
            seed,
            best: before
                .map(|(_, measured)| measured.score())
                .reduce(|best, next| if next > best { next } else { best }),
        });
        let monitor = Monitor::new(&self.cancellation, &NoProgress);
        let (protocol, group) = (&self.protocol, &self.group);
        let measured =
            embeddings.inspected_measures::<B>(protocol, inspector, device, group, monitor);
        if let Ok((measured, inspection)) = measured {
            state.measured.insert(epoch, measured);
            state.inspection = inspection;
        }
    }

    /// The measures of an epoch, if it was evaluated.
    pub fn measured(&self, epoch: usize) -> Option<Measured> {
        self.state().measured.get(&epoch).cloned()
    }

    /// The last measures and their epoch.
    pub fn latest(&self) -> Option<(usize, Measured)> {
        self.state()
            .measured
            .last_key_value()
            .map(|(epoch, measured)| (*epoch, measured.clone()))
    }

    /// The best trained epoch; the first of several.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best_epoch_of(|_| true)
    }

    /// The best epoch among those for which `is_candidate` is true.
    pub fn best_epoch_of(&self, is_candidate: impl Fn(usize) -> bool) -> Option<usize> {
        best_epoch(
            self.state()
                .measured
                .iter()
                .filter(|(epoch, _)| **epoch > 0 && is_candidate(**epoch))
                .map(|(epoch, measured)| (*epoch, measured.score())),
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
