//! Adam with parameter groups.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{GradientsParams, LearningRate, MultiGradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::HostRecord;
use super::adam::OnePassAdam;
use super::metric_learner::MetricLearner;
use crate::config::OptimizerConfig;

/// Adam (Kingma & Ba 2015) with L2 weight decay added to the gradient, and two parameter groups: the
/// learning rate of the backbone is a multiple of that of the other parameters. Parameters without a
/// gradient do not change; weight decay does not apply to them either.
///
/// Clones share the state: Burn's Learner owns its optimiser, and the state is saved in checkpoints.
#[derive(Clone)]
pub struct GroupedAdam<B: AutodiffBackend> {
    adam: Arc<Mutex<AdamAdaptor<B>>>,
    backbone_lr_scale: f64,
    /// The device of a loaded state.
    device: B::Device,
}

impl<B: AutodiffBackend> GroupedAdam<B> {
    /// Creates the optimiser of a configuration for parameters on `device`.
    pub fn new(config: &OptimizerConfig, device: &B::Device) -> Self {
        Self {
            adam: Arc::new(Mutex::new(OnePassAdam::new(config).into())),
            backbone_lr_scale: config.backbone_lr_scale,
            device: device.clone(),
        }
    }
}

type AdamAdaptor<B> = OptimizerAdaptor<OnePassAdam, MetricLearner<B>, B>;

/// The state of Adam for every parameter that has been updated.
pub(super) type AdamRecords<B> = <AdamAdaptor<B> as Optimizer<MetricLearner<B>, B>>::Record;

impl<B: AutodiffBackend> GroupedAdam<B> {
    /// Calls `read` with the state.
    pub(super) fn with_records<T>(&self, read: impl FnOnce(&AdamRecords<B>) -> T) -> T {
        // The record holds handles of tensors, not copies.
        let records = self.adam().to_record();
        read(&records)
    }

    /// Replaces the state.
    pub(super) fn with_state(self, records: AdamRecords<B>) -> Self {
        {
            let mut adam = self.adam();
            *adam = adam.clone().load_record(records);
        }
        self
    }

    fn adam(&self) -> MutexGuard<'_, AdamAdaptor<B>> {
        self.adam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step is two steps of one Adam, which keeps a separate state for each parameter: first for the
/// gradients of the backbone, then for the others.
impl<B: AutodiffBackend> Optimizer<MetricLearner<B>, B> for GroupedAdam<B> {
    // Adam's own record: checkpoints do not depend on the groups.
    type Record = HostRecord<B, AdamRecords<B>>;

    fn step(
        &mut self,
        rate: LearningRate,
        learner: MetricLearner<B>,
        mut gradients: GradientsParams,
    ) -> MetricLearner<B> {
        let backbone = split_backbone(&mut gradients, &learner);
        let mut adam = self.adam();
        let learner = adam.step(rate * self.backbone_lr_scale, learner, backbone);
        adam.step(rate, learner, gradients)
    }

    fn step_multi(
        &mut self,
        rate: LearningRate,
        learner: MetricLearner<B>,
        mut gradients: MultiGradientsParams,
    ) -> MetricLearner<B> {
        let devices = gradients.grads.iter_mut();
        let backbone = MultiGradientsParams {
            grads: devices
                .map(|(of_device, device)| (split_backbone(of_device, &learner), *device))
                .collect(),
        };
        let mut adam = self.adam();
        let learner = adam.step_multi(rate * self.backbone_lr_scale, learner, backbone);
        adam.step_multi(rate, learner, gradients)
    }

    fn to_record(&self) -> Self::Record {
        HostRecord::read(self.adam().to_record())
    }

    fn load_record(self, record: Self::Record) -> Self {
        let records = record.upload(&self.device);
        self.with_state(records)
    }
}

/// Removes the gradients of the backbone's parameters from `gradients` and returns them.
fn split_backbone<B: AutodiffBackend>(
    gradients: &mut GradientsParams,
    learner: &MetricLearner<B>,
) -> GradientsParams {
    let mut splitter = GradientSplitter {
        from: gradients,
        taken: GradientsParams::new(),
    };
    learner.embedder.backbone.visit(&mut splitter);
    splitter.taken
}

struct GradientSplitter<'a> {
    from: &'a mut GradientsParams,
    taken: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for GradientSplitter<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.from.remove::<B::InnerBackend, D>(parameter.id) {
            self.taken.register(parameter.id, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::backend::Autodiff;
    use burn::module::AutodiffModule;
    use burn::tensor::TensorData;
    use burn_store::ModuleSnapshot;
    use burn_train::TrainStep;

    use super::*;
    use crate::config::Config;
    use crate::data::{EpochSchedule, ImageBatch};
    use crate::model::EmbedderConfig;
    use crate::training::{Objective, RetrievalProtocol, TrainStepSchedule, Validation};

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;
    type Tensors = BTreeMap<String, Vec<f32>>;

    const RATE: f64 = 1e-2;

    fn learner(config: &Config) -> MetricLearner<AB> {
        MetricLearner::new(
            EmbedderConfig::from(&config.model).init(&Default::default()),
            Objective::new(config),
            TrainStepSchedule::new(config),
            Validation::new(RetrievalProtocol::default(), EpochSchedule::Always, []),
        )
    }

    /// Two classes of two images in `epoch`.
    fn batch(epoch: usize) -> ImageBatch<AB> {
        let shape = [4, 3, 16, 16];
        let count = shape.iter().product::<usize>();
        let wave: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        let device = Default::default();
        ImageBatch {
            images: Tensor::from_data(TensorData::new(wave, shape), &device),
            labels: vec![0, 0, 1, 1],
            indices: vec![0, 1, 2, 3],
            epoch,
            last: false,
        }
    }

    /// The tensors of the evaluation network: the training network delays its last update of running
    /// statistics.
    fn tensors(learner: &MetricLearner<AB>) -> Tensors {
        let embedder = learner.embedder.valid();
        let tensors = embedder.collect(None, None, false).into_iter();
        tensors
            .map(|tensor| {
                let values = tensor.to_data().unwrap().into_vec().unwrap();
                (tensor.full_path(), values)
            })
            .collect()
    }

    /// The change of each number in a step with the gradients of one batch.
    fn movement(start: &MetricLearner<AB>, config: &Config) -> Tensors {
        let gradients = TrainStep::step(start, batch(1)).grads;
        let moved = GroupedAdam::new(&config.optimizer, &Default::default()).step(
            RATE,
            start.clone(),
            gradients,
        );
        let after = tensors(&moved);
        tensors(start)
            .into_iter()
            .map(|(name, before)| {
                let pairs = after[&name].iter().zip(before);
                let steps = pairs.map(|(after, before)| after - before).collect();
                (name, steps)
            })
            .collect()
    }

    #[test]
    fn backbone_moves_by_the_scaled_rate_and_the_head_by_the_full_rate() {
        const FACTOR: f32 = 0.25;
        let mut config = Config::default();
        let start = learner(&config);
        let whole = movement(&start, &config);
        config.optimizer.backbone_lr_scale = f64::from(FACTOR);
        let scaled = movement(&start, &config);
        for (name, whole) in whole.iter().filter(|(name, _)| !name.contains("running_")) {
            let factor = if name.starts_with("backbone") {
                FACTOR
            } else {
                1.0
            };
            assert!(whole.iter().any(|step| step.abs() > 0.5 * RATE as f32));
            for (whole, scaled) in whole.iter().zip(&scaled[name]) {
                // A weight of up to 1.5 is rounded to 1.2e-7, before and after.
                assert!((scaled - factor * whole).abs() < 3e-7, "{name}");
            }
        }
    }

    #[test]
    fn frozen_epochs_change_neither_the_backbone_nor_its_state_in_adam() {
        let mut config = Config::default();
        config.training.freeze_backbone_epochs = 2;
        let mut learner = learner(&config);
        let mut optimizer = GroupedAdam::new(&config.optimizer, &Default::default());
        let start = tensors(&learner);
        let mut step = |learner: MetricLearner<AB>, epoch| {
            let gradients = TrainStep::step(&learner, batch(epoch)).grads;
            let learner = optimizer.step(RATE, learner, gradients);
            (
                learner,
                optimizer.to_record().upload(&Default::default()).len(),
            )
        };
        for epoch in [1, 2] {
            let states;
            (learner, states) = step(learner, epoch);
            assert_eq!(states, 2, "the head's weights and bias");
            for (name, tensor) in tensors(&learner) {
                let trains = name.starts_with("head");
                assert_eq!(tensor != start[&name], trains, "{name} in epoch {epoch}");
            }
        }
        let (learner, states) = step(learner, 3);
        assert!(states > 2);
        let now = tensors(&learner);
        assert!(now.iter().all(|(name, tensor)| *tensor != start[name]));
    }
}
