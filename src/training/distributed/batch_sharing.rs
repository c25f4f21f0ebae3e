//! The part of a batch that a process has.

use std::ops::Range;

use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};

use super::gradients::sum_gradients;
use super::running_statistics::average_running_statistics;
use crate::data::ImageBatch;
use crate::distribution::ProcessGroup;
use crate::model::execution::WholeBatch;
use crate::model::{Embedder, OtherRows, TrainStepOptions};

/// How the processes of a group share batches.
#[derive(Debug, Clone, Default)]
pub(in crate::training) struct BatchSharing {
    /// The processes.
    pub(in crate::training) group: ProcessGroup,
    /// Whether batch norms use the statistics of the whole batch.
    pub(in crate::training) sync_batch_norm: bool,
}

/// A batch that processes share, and the rows of this process.
pub(in crate::training) struct BatchPart {
    /// The images of the whole batch, as indices into the training split.
    pub(in crate::training) indices: Vec<usize>,
    /// The rows of this process.
    pub(in crate::training) rows: Range<usize>,
    labels: Vec<usize>,
    sharing: BatchSharing,
}

impl BatchSharing {
    /// Exchanges which images the processes have: an image that could not be read was replaced.
    pub(in crate::training) fn part_of<B: Backend>(&self, own: &ImageBatch<B>) -> BatchPart {
        let count = own.indices.len();
        let pairs = own.indices.iter().zip(&own.labels);
        let pairs = pairs.flat_map(|(&index, &label)| [index, label]).collect();
        let pairs = self.group.gather_indices(pairs);
        let (pairs, _) = pairs.as_chunks::<2>();
        let start = self.group.share(pairs.len()).start;
        BatchPart {
            indices: pairs.iter().map(|[index, _]| *index).collect(),
            labels: pairs.iter().map(|[_, label]| *label).collect(),
            rows: start..start + count,
            sharing: self.clone(),
        }
    }

    /// Gathers the embeddings of all processes: `[n, D]` in each, `[N, D]` of the batch. Waits for the device.
    pub(in crate::training) fn gather_embeddings<B: Backend>(
        &self,
        own: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let (device, [_, dim]) = (own.device(), own.dims());
        let own = own.into_data().convert::<f32>().into_vec();
        let all = self.group.gather_floats(own.expect("just converted"));
        let rows = all.len() / dim;
        Tensor::from_data(TensorData::new(all, [rows, dim]), &device)
    }

    /// Sums the gradients of the parameters over the processes, and averages the running statistics of batch norms
    /// that are not synchronised. Returns no gradients if they overflow in any process.
    pub(in crate::training) fn sum_gradients<B: AutodiffBackend>(
        &self,
        embedder: &Embedder<B>,
        own: GradientsParams,
    ) -> GradientsParams {
        if self.group.is_single() {
            return own;
        }
        let sums = sum_gradients(&self.group, embedder, own);
        if !self.sync_batch_norm {
            average_running_statistics(&self.group, embedder);
        }
        sums
    }
}

impl BatchPart {
    /// Adds to the options of the step which rows of the batch this process has.
    pub(in crate::training) fn set(&self, options: &mut TrainStepOptions) {
        options.other_rows = OtherRows {
            before: self.rows.start,
            after: self.indices.len() - self.rows.end,
        };
        options.whole_batch = self.sharing.sync_batch_norm.then(|| WholeBatch {
            group: self.sharing.group.clone(),
            own_images: self.rows.len(),
            images: self.indices.len(),
        });
    }

    /// Uploads the labels of the whole batch, `[N]`.
    pub(in crate::training) fn upload_labels<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Tensor<B, 1, Int> {
        let labels: Vec<i32> = self.labels.iter().map(|&label| label as i32).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), device)
    }
}
