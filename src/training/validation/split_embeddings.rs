//! The embeddings of a split, collected on the host.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::RetrievalProtocol;
use crate::data::ImageBatch;
use crate::evaluation::{Recall, nearest_positive_ranks};
use crate::model::Embedder;

/// The embeddings of a split, collected on the host batch by batch.
#[derive(Debug, Default)]
pub struct SplitEmbeddings {
    values: Vec<f32>,
    labels: Vec<usize>,
    /// The index in the split of each embedded image.
    indices: Vec<usize>,
    dim: usize,
}

impl SplitEmbeddings {
    /// Embeds a batch and adds it.
    pub fn add<B: Backend>(
        &mut self,
        embedder: &Embedder<B>,
        protocol: &RetrievalProtocol,
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

    /// Whether no image was added.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether every number is finite.
    pub fn are_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Computes Recall@K by `protocol` on `device`.
    pub fn recall<B: Backend>(self, protocol: &RetrievalProtocol, device: &B::Device) -> Recall {
        let roles = protocol.roles.as_ref();
        let roles = roles.map(|roles| self.indices.iter().map(|&i| roles[i]).collect::<Vec<_>>());
        let data = TensorData::new(self.values, [self.labels.len(), self.dim]);
        let embeddings = Tensor::<B, 2>::from_data(data, device);
        let ranks = nearest_positive_ranks(embeddings, &self.labels, roles.as_deref());
        Recall::from_ranks(&ranks, &protocol.recall)
    }
}
