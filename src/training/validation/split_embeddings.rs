//! The embeddings of a split, collected on the host.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::RetrievalProtocol;
use super::inspection::{Embedded, Inspection, Inspector};
use crate::cancellation::Cancelled;
use crate::data::ImageBatch;
use crate::distribution::ProcessGroup;
use crate::evaluation::{MeasureOptions, Role, SplitMeasures};
use crate::model::Embedder;
use crate::progress::{Monitor, Task};
use crate::queued_read::{QueuedRead, read_values};
use crate::training::measured::Measured;

/// The embeddings of a split on the host.
#[derive(Debug, Clone, Default)]
pub struct SplitEmbeddings {
    values: Vec<f32>,
    labels: Vec<usize>,
    /// The index in the split of each embedded image.
    indices: Vec<usize>,
    dim: usize,
}

/// Embeds a split batch by batch, and collects the embeddings on the host.
///
/// The embeddings of a batch are read after the next batch is queued, so that the device always has work, and at most
/// two batches at a time.
#[derive(Debug, Default)]
pub(in crate::training) struct EmbeddingReader {
    /// The labels and indices of all batches, and the values of those that were read.
    embeddings: SplitEmbeddings,
    /// The values of the last batch.
    last: Option<QueuedRead<Vec<f32>>>,
}

impl EmbeddingReader {
    /// Embeds a batch and adds it. Counts its images in `task`; on a processor every few images, so that
    /// a stop takes less than a second also in a large batch.
    ///
    /// # Errors
    /// If a stop was requested. Then the batch is not added.
    pub(in crate::training) fn add<B: Backend>(
        &mut self,
        embedder: &Embedder<B>,
        protocol: &RetrievalProtocol,
        batch: ImageBatch<B>,
        task: &Task<'_>,
    ) -> Result<(), Cancelled> {
        let advance = |images| task.advance(images);
        let embeddings = embedder.forward_in_parts(batch.images, protocol.mirror, advance)?;
        self.embeddings.dim = embeddings.dims()[1];
        let before = self.last.replace(read_values(embeddings));
        self.embeddings.labels.extend(batch.labels);
        self.embeddings.indices.extend(batch.indices);
        self.collect(before);
        Ok(())
    }

    /// Waits for the last batch and returns the embeddings.
    pub(in crate::training) fn finish(mut self) -> SplitEmbeddings {
        let last = self.last.take();
        self.collect(last);
        self.embeddings
    }

    fn collect(&mut self, read: Option<QueuedRead<Vec<f32>>>) {
        let values = read.map(QueuedRead::wait);
        self.embeddings.values.extend(values.unwrap_or_default());
    }
}

impl SplitEmbeddings {
    /// Adds the embeddings of the other processes, each of which has embedded its share of the split, in their order.
    pub(in crate::training) fn gathered(self, group: &ProcessGroup) -> Self {
        let dims = group.gather_indices(vec![self.dim]);
        Self {
            values: group.gather_floats(self.values),
            labels: group.gather_indices(self.labels),
            indices: group.gather_indices(self.indices),
            // A process without an image has the dimension 0.
            dim: dims.into_iter().max().unwrap_or(0),
        }
    }

    /// The embeddings \[N, D\], row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The label of each row.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The index in the split of the image of each row.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The dimension D of the embeddings; 0 if no image was added.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether no image was added.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether every number is finite.
    pub fn are_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Computes all measures by `protocol` on `device`. The K of Recall@K are those of the protocol.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn measure<B: Backend>(
        self,
        protocol: &RetrievalProtocol,
        options: MeasureOptions<'_>,
        device: &B::Device,
        monitor: Monitor<'_>,
    ) -> Result<SplitMeasures, Cancelled> {
        let options = MeasureOptions {
            recall: &protocol.recall,
            ..options
        };
        let roles = self.roles(protocol);
        let (embeddings, labels) = self.into_tensor::<B>(device);
        let roles = roles.as_deref();
        SplitMeasures::measure(embeddings, &labels, roles, |_| true, options, monitor)
    }

    /// Computes the measures that a run records, and inspects the embeddings on the host if there is an
    /// `inspector`. The processes of `group` share the queries.
    ///
    /// # Errors
    /// If a stop was requested.
    pub(in crate::training) fn inspected_measures<B: Backend>(
        self,
        protocol: &RetrievalProtocol,
        inspector: Option<Inspector>,
        device: &B::Device,
        group: &ProcessGroup,
        monitor: Monitor<'_>,
    ) -> Result<(Measured, Option<Inspection>), Cancelled> {
        // The measures take the embeddings.
        let inspected = inspector.map(|inspector| (inspector, self.clone()));
        let options = MeasureOptions {
            group: Some(group),
            ..MeasureOptions::default()
        };
        let measures = self.measure::<B>(protocol, options, device, monitor)?;
        let inspection = inspected.map(|(inspector, embeddings)| {
            let roles = embeddings.roles(protocol);
            let embedded = Embedded {
                values: &embeddings.values,
                dim: embeddings.dim,
                labels: &embeddings.labels,
                indices: &embeddings.indices,
                roles: roles.as_deref(),
            };
            embedded.inspect(inspector, &measures)
        });
        Ok((measures.retrieval.into(), inspection))
    }

    /// The role of each embedded image.
    fn roles(&self, protocol: &RetrievalProtocol) -> Option<Vec<Role>> {
        let roles = protocol.roles.as_ref()?;
        Some(self.indices.iter().map(|&i| roles[i]).collect())
    }

    /// The embeddings \[N, D\] and their labels.
    fn into_tensor<B: Backend>(self, device: &B::Device) -> (Tensor<B, 2>, Vec<usize>) {
        let data = TensorData::new(self.values, [self.labels.len(), self.dim]);
        (Tensor::from_data(data, device), self.labels)
    }
}
