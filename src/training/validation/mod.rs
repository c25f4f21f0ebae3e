//! The evaluation during training, on the split that chooses the best epoch.

mod protocol;
mod split_embeddings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::backend::Backend;

pub use protocol::RetrievalProtocol;
pub use split_embeddings::SplitEmbeddings;

use super::run_folder::best_epoch;
use crate::data::{EpochSchedule, ImageBatch};
use crate::evaluation::Recall;
use crate::model::Embedder;
use crate::progress::{Monitor, Unit};

/// The recalls of the epochs that were evaluated. Clones share them: the validation step writes them;
/// checkpointing, early stopping, the dashboard and the log read them.
#[derive(Debug, Clone)]
pub struct Validation {
    protocol: Arc<RetrievalProtocol>,
    schedule: EpochSchedule,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The epoch of the current or last evaluation.
    epoch: usize,
    embeddings: SplitEmbeddings,
    /// Whether an embedding of the last evaluation was not finite.
    not_finite: bool,
    recalls: BTreeMap<usize, Recall>,
}

impl Validation {
    /// Creates a validation by `protocol` after the epochs of `schedule`. `known` are earlier recalls:
    /// that of epoch 0, or those before the run was resumed.
    pub fn new(
        protocol: RetrievalProtocol,
        schedule: EpochSchedule,
        known: impl IntoIterator<Item = (usize, Recall)>,
    ) -> Self {
        let state = State {
            recalls: known.into_iter().collect(),
            ..Default::default()
        };
        Self {
            protocol: Arc::new(protocol),
            schedule,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Whether an evaluation is due after `epoch`.
    pub fn is_due(&self, epoch: usize) -> bool {
        self.schedule.includes(epoch)
    }

    /// Whether an embedding of the evaluation of `epoch` was infinite or NaN. Then there is no recall:
    /// queries with NaN have no nearest neighbour.
    pub fn is_not_finite(&self, epoch: usize) -> bool {
        let state = self.state();
        state.epoch == epoch && state.not_finite
    }

    /// Embeds a batch of the split. After the last batch, computes the recall.
    pub fn step<B: Backend>(&self, embedder: &Embedder<B>, batch: ImageBatch<B>) {
        let (epoch, last, device) = (batch.epoch, batch.last, batch.images.device());
        let mut state = self.state();
        if state.epoch != epoch {
            // An interrupted evaluation may have left embeddings.
            state.embeddings = SplitEmbeddings::default();
            state.not_finite = false;
            state.epoch = epoch;
        }
        let task = Monitor::none().task("embedding", None, Unit::Images);
        let added = state.embeddings.add(embedder, &self.protocol, batch, &task);
        added.expect("nothing cancels it");
        if last {
            let embeddings = std::mem::take(&mut state.embeddings);
            if !embeddings.are_finite() {
                state.not_finite = true;
                return;
            }
            let recall = embeddings.recall::<B>(&self.protocol, &device, Monitor::none());
            let recall = recall.expect("nothing cancels it");
            state.recalls.insert(epoch, recall);
        }
    }

    /// The recall of an epoch, if it was evaluated.
    pub fn recall(&self, epoch: usize) -> Option<Recall> {
        self.state().recalls.get(&epoch).cloned()
    }

    /// The last recall and its epoch.
    pub fn latest(&self) -> Option<(usize, Recall)> {
        self.state()
            .recalls
            .last_key_value()
            .map(|(epoch, recall)| (*epoch, recall.clone()))
    }

    /// The trained epoch with the highest Recall@1; the first of several.
    pub fn best_epoch(&self) -> Option<usize> {
        best_epoch(
            self.state()
                .recalls
                .iter()
                .filter(|(epoch, _)| **epoch > 0)
                .map(|(epoch, recall)| (*epoch, recall.at_1())),
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
