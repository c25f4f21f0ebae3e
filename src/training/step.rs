//! The training step and the validation step that Burn's Learner repeats.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_train::metric::ItemLazy;
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use super::metric_learner::MetricLearner;
use super::step_statistics::{FinishedStep, StepOutputs, pack};
use crate::data::ImageBatch;
use crate::model::BackwardPass;

/// The statistics that were read in a training step: those of the step before, and at the end of an
/// epoch also those of the step itself.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedSteps(pub Vec<FinishedStep>);

impl ItemLazy for FinishedSteps {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
    }
}

/// The output of a validation step. The recall is in [`Validation`](super::Validation).
pub struct Validated;

impl ItemLazy for Validated {
    type ItemSync = Self;

    fn sync(self) -> Self {
        self
    }
}

impl<B: AutodiffBackend> TrainStep for MetricLearner<B> {
    type Input = ImageBatch<B>;
    type Output = FinishedSteps;

    fn step(&self, batch: ImageBatch<B>) -> TrainOutput<FinishedSteps> {
        let (epoch, last) = (batch.epoch, batch.last);
        let (forward, outputs) = self.forward_step(batch);
        let grads = self
            .sharing
            .sum_gradients(&self.embedder, forward.gradients());
        if grads.is_empty() {
            tracing::warn!(
                "epoch {epoch}: a gradient overflows f16, and its step is skipped; if this repeats, resume with \
                 --set training.precision=bf16 or f32"
            );
        }
        TrainOutput {
            grads,
            item: FinishedSteps(self.pending.push(outputs, last)),
        }
    }
}

/// The forward pass of a training step, which its gradients are computed from.
pub struct ForwardPass<'m, B: AutodiffBackend> {
    loss: Tensor<B, 1>,
    backward: BackwardPass<'m, B>,
}

impl<B: AutodiffBackend> ForwardPass<'_, B> {
    /// Computes the gradients of the loss by parameter.
    pub fn gradients(self) -> GradientsParams {
        self.backward.gradients(self.loss)
    }
}

impl<B: AutodiffBackend> MetricLearner<B> {
    /// The forward pass of a training step (embeddings, comparisons and loss), and its packed
    /// statistics on the device.
    pub fn forward(
        &self,
        batch: ImageBatch<B>,
    ) -> (ForwardPass<'_, B>, Tensor<B::InnerBackend, 1>) {
        let (forward, outputs) = self.forward_step(batch);
        (forward, outputs.packed)
    }

    fn forward_step(
        &self,
        batch: ImageBatch<B>,
    ) -> (ForwardPass<'_, B>, StepOutputs<B::InnerBackend>) {
        if !self.sharing.group.is_single() {
            return self.forward_shared(batch);
        }
        let options = self.schedule.options(batch.epoch, &batch.indices);
        let labels = batch.upload_labels();
        let (embeddings, backward) = self.embedder.forward_train(batch.images, options);
        let detached = embeddings.clone().inner();
        let (loss, statistics) = self.objective.forward(embeddings, labels);
        let outputs = StepOutputs {
            packed: pack(statistics, detached.clone()),
            embeddings: detached,
            images: batch.indices,
        };
        (ForwardPass { loss, backward }, outputs)
    }
}

impl<B: AutodiffBackend> MetricLearner<B> {
    /// The forward pass with the part of a batch that this process has. The loss is that of the whole batch, which
    /// every process computes, and its gradients are those of this process's images: summed over the processes,
    /// they are those of one process.
    fn forward_shared(
        &self,
        batch: ImageBatch<B>,
    ) -> (ForwardPass<'_, B>, StepOutputs<B::InnerBackend>) {
        let device = batch.images.device();
        let part = self.sharing.part_of(&batch);
        let mut options = self.schedule.options(batch.epoch, &part.indices);
        part.set(&mut options);
        let (own, backward) = self.embedder.forward_train(batch.images, options);
        let detached = self.sharing.gather_embeddings(own.clone().inner());
        let embeddings = Tensor::<B, 2>::from_inner(detached.clone()).require_grad();
        let labels = part.upload_labels::<B>(&device);
        let (loss, statistics) = self.objective.forward(embeddings.clone(), labels);
        let gradient = embeddings.grad(&loss.backward());
        // No gradient: no comparison of the batch depends on an embedding.
        let gradient = gradient.unwrap_or_else(|| detached.zeros_like());
        let gradient = gradient.narrow(0, part.rows.start, part.rows.len());
        // Its gradient is that of the whole batch's loss by this process's embeddings.
        let loss = (own * Tensor::from_inner(gradient)).sum();
        let outputs = StepOutputs {
            packed: pack(statistics, detached.clone()),
            embeddings: detached,
            images: part.indices,
        };
        (ForwardPass { loss, backward }, outputs)
    }
}

impl<B: Backend> InferenceStep for MetricLearner<B> {
    type Input = ImageBatch<B>;
    type Output = Validated;

    fn step(&self, batch: ImageBatch<B>) -> Validated {
        self.validation.step(&self.embedder, batch);
        Validated
    }
}
