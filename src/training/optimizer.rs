//! Adam, with a learning rate of its own for the backbone.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    Adam, AdamConfig, GradientsParams, LearningRate, MultiGradientsParams, Optimizer,
};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::HostRecord;
use super::metric_learner::MetricLearner;
use crate::config::OptimizerConfig;

/// Adam (Kingma & Ba 2015) with L2 weight decay added to the gradient, whose learning rate is
/// multiplied by a factor for the parameters of the backbone. A parameter without a gradient is
/// left alone, by weight decay too.
#[derive(Clone)]
pub struct GroupedAdam<B: AutodiffBackend> {
    adam: OptimizerAdaptor<Adam, MetricLearner<B>, B>,
    backbone_factor: f64,
    /// Where a record's state goes.
    device: B::Device,
}

impl<B: AutodiffBackend> GroupedAdam<B> {
    /// The optimiser of a configuration for parameters on `device`.
    pub fn new(config: &OptimizerConfig, device: &B::Device) -> Self {
        let adam = AdamConfig::new()
            .with_beta_1(config.beta_1 as f32)
            .with_beta_2(config.beta_2 as f32)
            .with_epsilon(config.epsilon as f32)
            .with_weight_decay(Some(WeightDecayConfig::new(config.weight_decay as f32)));
        Self {
            adam: adam.init(),
            backbone_factor: config.backbone_factor,
            device: device.clone(),
        }
    }
}

/// The state of Adam for every parameter.
type AdamRecord<B> =
    <OptimizerAdaptor<Adam, MetricLearner<B>, B> as Optimizer<MetricLearner<B>, B>>::Record;

/// A step is two steps of one Adam, which keeps its state for each parameter by itself and takes the
/// rate as a factor of the step: first those parameters that have the gradients of the backbone, then
/// the others.
impl<B: AutodiffBackend> Optimizer<MetricLearner<B>, B> for GroupedAdam<B> {
    // Adam's own: the checkpoints are those of a training with one rate.
    type Record = HostRecord<B, AdamRecord<B>>;

    fn step(
        &mut self,
        rate: LearningRate,
        learner: MetricLearner<B>,
        mut gradients: GradientsParams,
    ) -> MetricLearner<B> {
        let of_backbone = take_backbones(&mut gradients, &learner);
        let learner = self
            .adam
            .step(rate * self.backbone_factor, learner, of_backbone);
        self.adam.step(rate, learner, gradients)
    }

    fn step_multi(
        &mut self,
        rate: LearningRate,
        learner: MetricLearner<B>,
        mut gradients: MultiGradientsParams,
    ) -> MetricLearner<B> {
        let devices = gradients.grads.iter_mut();
        let of_backbone = MultiGradientsParams {
            grads: devices
                .map(|(of_device, device)| (take_backbones(of_device, &learner), *device))
                .collect(),
        };
        let learner = self
            .adam
            .step_multi(rate * self.backbone_factor, learner, of_backbone);
        self.adam.step_multi(rate, learner, gradients)
    }

    fn to_record(&self) -> Self::Record {
        HostRecord::read(self.adam.to_record())
    }

    fn load_record(self, record: Self::Record) -> Self {
        Self {
            adam: self.adam.load_record(record.upload(&self.device)),
            ..self
        }
    }
}

/// Takes the gradients of the backbone's parameters out of `gradients`.
fn take_backbones<B: AutodiffBackend>(
    gradients: &mut GradientsParams,
    learner: &MetricLearner<B>,
) -> GradientsParams {
    let mut taking = Taking {
        from: gradients,
        taken: GradientsParams::new(),
    };
    learner.embedder.backbone.visit(&mut taking);
    taking.taken
}

struct Taking<'a> {
    from: &'a mut GradientsParams,
    taken: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Taking<'_> {
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
    use burn::tensor::{Int, TensorData};
    use burn_store::ModuleSnapshot;
    use burn_train::TrainStep;

    use super::*;
    use crate::config::Config;
    use crate::data::{EpochSchedule, ImageBatch};
    use crate::model::EmbedderConfig;
    use crate::training::{Objective, Protocol, TrainStepSchedule, Validation};

    type B = burn_flex::Flex;
    type AB = Autodiff<B>;
    type Tensors = BTreeMap<String, Vec<f32>>;

    const RATE: f64 = 1e-2;

    fn learner(config: &Config) -> MetricLearner<AB> {
        MetricLearner::new(
            EmbedderConfig::from(&config.model).init(&Default::default()),
            Objective::new(config),
            TrainStepSchedule::new(config),
            Validation::new(Protocol::default(), EpochSchedule::Always, []),
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
            labels: Tensor::<AB, 1, Int>::from_ints([0, 0, 1, 1], &device),
            indices: vec![0, 1, 2, 3],
            epoch,
            last: false,
        }
    }

    /// As evaluation sees them: the network in training holds its last update of running
    /// statistics back.
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

    /// How far each number moves in a step with the gradients of one batch.
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
    fn backbone_moves_the_factor_as_far_and_the_head_as_far_as_ever() {
        const FACTOR: f32 = 0.25;
        let mut config = Config::default();
        let start = learner(&config);
        let whole = movement(&start, &config);
        config.optimizer.backbone_factor = f64::from(FACTOR);
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
    fn frozen_epochs_leave_the_backbone_as_it_is_and_adam_without_its_state() {
        let mut config = Config::default();
        config.training.freeze_epochs = 2;
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
