//! Adam's update of a parameter.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::{
    Adam, AdamConfig, AdamState, AdaptiveMomentumState, LearningRate, SimpleOptimizer,
};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::config::OptimizerConfig;
use crate::kernels::adam::{self, Parameter, Update};

/// Burn's Adam, which updates each parameter in one pass where [kernels](crate::kernels) of this project run.
/// Burn's own makes about fifteen. Both compute the same function and have the same state.
#[derive(Clone)]
pub struct OnePassAdam {
    adam: Adam,
    betas: [f32; 2],
    epsilon: f32,
    weight_decay: f32,
}

impl OnePassAdam {
    pub(super) fn new(config: &OptimizerConfig) -> Self {
        let betas = [config.beta_1 as f32, config.beta_2 as f32];
        let (epsilon, weight_decay) = (config.epsilon as f32, config.weight_decay as f32);
        let adam = AdamConfig::new()
            .with_beta_1(betas[0])
            .with_beta_2(betas[1])
            .with_epsilon(epsilon)
            .with_weight_decay(Some(WeightDecayConfig::new(weight_decay)));
        Self {
            adam: adam.build(),
            betas,
            epsilon,
            weight_decay,
        }
    }

    /// The update in one pass, or `None` if no kernel computes it.
    fn in_one_pass<B: Backend, const D: usize>(
        &self,
        rate: LearningRate,
        value: &Tensor<B, D>,
        gradient: &Tensor<B, D>,
        state: Option<&AdamState<B, D>>,
    ) -> Option<(Tensor<B, D>, AdamState<B, D>)> {
        if !crate::kernels::available::<B>() {
            return None;
        }
        let (time, moments) = match state {
            Some(AdamState { momentum }) => (
                momentum.time + 1,
                [momentum.moment_1.clone(), momentum.moment_2.clone()],
            ),
            None => (1, [(); 2].map(|()| value.zeros_like())),
        };
        let [moment_1, moment_2] = moments;
        let parameter = Parameter {
            value: value.clone(),
            moment_1,
            moment_2,
        };
        let update = Update {
            rate,
            betas: self.betas,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            time,
        };
        let updated = adam::step(parameter, gradient.clone(), update)?;
        let momentum = AdaptiveMomentumState::new(time, updated.moment_1, updated.moment_2);
        Some((updated.value, AdamState::new(momentum)))
    }
}

impl<B: Backend> SimpleOptimizer<B> for OnePassAdam {
    type State<const D: usize> = AdamState<B, D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        value: Tensor<B, D>,
        gradient: Tensor<B, D>,
        state: Option<AdamState<B, D>>,
    ) -> (Tensor<B, D>, Option<AdamState<B, D>>) {
        match self.in_one_pass(rate, &value, &gradient, state.as_ref()) {
            Some((value, state)) => (value, Some(state)),
            None => self.adam.step(rate, value, gradient, state),
        }
    }

    fn to_device<const D: usize>(state: AdamState<B, D>, device: &B::Device) -> AdamState<B, D> {
        <Adam as SimpleOptimizer<B>>::to_device(state, device)
    }
}
