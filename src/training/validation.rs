//! Measuring the test split: embedding it batch by batch, and what was measured at which epoch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::run_folder::best_epoch;
use crate::config::EvaluationConfig;
use crate::data::{EpochSchedule, ImageBatch, Split};
use crate::evaluation::{Recall, Role, nearest_positive_ranks};
use crate::model::Embedder;

/// How the test split is measured.
#[derive(Debug, Clone, Default)]
pub struct Protocol {
    /// The K of Recall@K.
    pub recall: Vec<usize>,
    /// Whether the embeddings of an image and its mirror image are averaged.
    pub mirror: bool,
    /// What each image of the split is; none where all are queries and gallery.
    pub roles: Option<Vec<Role>>,
}

impl Protocol {
    /// The protocol of a configuration on `split`.
    pub fn new(config: &EvaluationConfig, split: &Split) -> Self {
        Self {
            recall: config.recall.clone(),
            mirror: config.mirror,
            roles: split.roles().map(<[_]>::to_vec),
        }
    }
}

/// Embeds a split, collecting on the host what the batches give.
#[derive(Debug, Default)]
pub struct SplitEmbeddings {
    values: Vec<f32>,
    labels: Vec<usize>,
    /// Which images of the split they are.
    indices: Vec<usize>,
    dim: usize,
}

impl SplitEmbeddings {
    /// Embeds a batch and adds it.
    pub fn add<B: Backend>(
        &mut self,
        embedder: &Embedder<B>,
        protocol: &Protocol,
        batch: ImageBatch<B>,
    ) {
        let embeddings = match protocol.mirror {
            true => embedder.forward_mirrored(batch.images),
            false => embedder.forward(batch.images),
        };
        self.dim = embeddings.dims()[1];
        self.values
            .extend(embeddings.into_data().convert::<f32>().iter::<f32>());
        let labels = batch.labels.into_data();
        self.labels
            .extend(labels.iter::<i64>().map(|label| label as usize));
        self.indices.extend(batch.indices);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether every number is finite.
    pub fn are_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Recall@K by `protocol`, computed on `device`.
    pub fn recall<B: Backend>(self, protocol: &Protocol, device: &B::Device) -> Recall {
        let roles = protocol.roles.as_ref();
        let roles = roles.map(|roles| self.indices.iter().map(|&i| roles[i]).collect::<Vec<_>>());
        let data = TensorData::new(self.values, [self.labels.len(), self.dim]);
        let embeddings = Tensor::<B, 2>::from_data(data, device);
        let ranks = nearest_positive_ranks(embeddings, &self.labels, roles.as_deref());
        Recall::from_ranks(&ranks, &protocol.recall)
    }
}

/// What validation measured, by epoch. Clones share it: the training step writes, checkpointing,
/// early stopping, dashboard and log read.
#[derive(Debug, Clone)]
pub struct Validation {
    protocol: Arc<Protocol>,
    schedule: EpochSchedule,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The epoch whose validation is under way, or was the last.
    epoch: usize,
    collecting: SplitEmbeddings,
    recalls: BTreeMap<usize, Recall>,
}

impl Validation {
    /// Validation by `protocol` after the epochs of `schedule`. `known` are earlier measurements:
    /// epoch 0, or those before a resumption.
    pub fn new(
        protocol: Protocol,
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

    /// Whether nothing is left to measure for `epoch`.
    pub fn is_complete(&self, epoch: usize) -> bool {
        !self.schedule.includes(epoch) || self.state().recalls.contains_key(&epoch)
    }

    /// Embeds a batch of the test split; with the last one measures.
    pub fn step<B: Backend>(&self, embedder: &Embedder<B>, batch: ImageBatch<B>) {
        let (epoch, last, device) = (batch.epoch, batch.last, batch.images.device());
        let mut state = self.state();
        if state.epoch != epoch {
            // Whatever an interrupted validation left behind.
            state.collecting = SplitEmbeddings::default();
            state.epoch = epoch;
        }
        state.collecting.add(embedder, &self.protocol, batch);
        if last {
            let embeddings = std::mem::take(&mut state.collecting);
            state
                .recalls
                .insert(epoch, embeddings.recall::<B>(&self.protocol, &device));
        }
    }

    /// The recall of an epoch, if it was measured.
    pub fn recall(&self, epoch: usize) -> Option<Recall> {
        self.state().recalls.get(&epoch).cloned()
    }

    /// The last measurement, with its epoch.
    pub fn latest(&self) -> Option<(usize, Recall)> {
        self.state()
            .recalls
            .last_key_value()
            .map(|(epoch, recall)| (*epoch, recall.clone()))
    }

    /// The trained epoch with the highest Recall@1, the first of equal ones.
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
        self.state
            .lock()
            .expect("nobody panics with the measurements in hand")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recall(at_1: f64) -> Recall {
        Recall {
            at: [(1, at_1)].into(),
            queries: 1,
        }
    }

    #[test]
    fn untrained_network_is_never_the_best_epoch() {
        let validation = Validation::new(
            Protocol::default(),
            EpochSchedule::Always,
            [(0, recall(0.9))],
        );
        assert_eq!(validation.best_epoch(), None);
        let known = [
            (0, recall(0.9)),
            (1, recall(0.2)),
            (2, recall(0.4)),
            (3, recall(0.4)),
        ];
        let validation = Validation::new(Protocol::default(), EpochSchedule::Always, known);
        assert_eq!(validation.best_epoch(), Some(2));
    }
}
